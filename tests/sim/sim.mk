# SPDX-License-Identifier: Apache-2.0
# check-sim: everything below handler/ on a simulated store and clock, judged by the rules of SCSI.
# Each tests/sim/<name>_test.cpp is a program; they share the other files.
#
#   make check-sim                         about 20 s of random runs, and scenarios written by hand
#   SIM_SECONDS=3600 make check-sim        an hour of random runs
#   SIM_RUNS=1000000 make check-sim        as many of them on all cores, for a day at the most
#   SIM_LOGS=1 SIM_SECONDS=3600 build/tests/sim/random_test    an hour of runs that have a write log
#   BALLAST_SEED=<seed> build/tests/sim/random_test     that run, and those after it
#   SIM_TRACE=1 BALLAST_SEED=<seed> …                   with a trace of its events
#   SIM_BOUNDS=<bounds> BALLAST_SEED=<seed> …           the smaller run that a failing one was shrunk to

sim_tests := $(patsubst tests/sim/%.cpp,%,$(sort $(wildcard tests/sim/*_test.cpp)))
sim_objects := $(patsubst %.cpp,$(B)/obj/%.o,\
                 $(filter-out %_test.cpp,$(sort $(wildcard tests/sim/*.cpp))))

define sim_program
$(B)/tests/sim/$(1): $(B)/obj/tests/sim/$(1).o $(sim_objects) $(all_archives)
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	@$$(CXX) $$(LDFLAGS_$$(VARIANT)) -pthread -o $$@ $$^ $$(libs) $$(call pkg,--libs,cmocka)
endef
$(foreach t,$(sim_tests),$(eval $(call sim_program,$(t))))

SIM_SECONDS ?= 20
SIM_RUNS ?=

.PHONY: check-sim build-sim
build-sim: $(sim_tests:%=$(B)/tests/sim/%)
check-sim: build-sim
	@SIM_SECONDS=$(SIM_SECONDS) SIM_RUNS=$(SIM_RUNS) \
	  BALLAST_TEST_SECONDS=$(if $(SIM_RUNS),86400,$$(($(SIM_SECONDS) + 1800))) \
	  ci/run-tests sim-$(VARIANT) $(sim_tests:%=$(B)/tests/sim/%)
