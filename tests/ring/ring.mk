# SPDX-License-Identifier: Apache-2.0
# check-ring: the built plugin, loaded by a host that plays daemon and kernel.
# check-kill: 150 times SIGKILL under load, for three kinds of LUNs with a write log; about three
# minutes.
# check-soak: LUNs come and go for SOAK_SECONDS in one process, which must not grow.
# check-instructions: fails if a command takes over 2 % more instructions than instructions.tsv says.
# check-core: ballastctl core, with core files of frozen LUNs, and of six processes that die under
# load.
# check-core-sweep: 100 of those.
# bench-native: commands per second and instructions per command with the same host.

ring_tests := ring_test flood_test freeze_test log_test kernel_test open_test passed_over_test watchdog_test \
              groups_test settings_test bus_test attributes_test load_test
# GLib is not built for ThreadSanitizer, which takes what it hands from thread to thread for races.
ifeq ($(VARIANT),tsan)
ring_tests := $(filter-out bus_test,$(ring_tests))
endif
# Eight lives; and 200 LUNs at once are too many threads for a sanitizer.
ifeq ($(VARIANT),release)
ring_tests += soak
endif
$(foreach p,$(sort $(ring_tests) fault_sweep kill_sweep soak bench core_host),$(eval $(call host_program,ring/$(p))))
$(B)/tests/ring/kernel_test: $(B)/obj/tests/ring/kernel.o
$(B)/tests/ring/fault_sweep: $(B)/obj/tests/ring/life.o

# These have a main loop, in which the plugin answers on the bus.
$(B)/tests/ring/core_host $(B)/tests/ring/bus_test: host_packages := gio-2.0

.PHONY: check-ring build-ring
build-ring: $(plugin) $(ring_tests:%=$(B)/tests/ring/%)
check-ring: build-ring
	@BALLAST_PLUGIN=$(plugin) ci/run-tests ring-$(VARIANT) $(ring_tests:%=$(B)/tests/ring/%)

# This takes minutes, because each life of a LUN is a process. SWEEP_EVERY=N leaves most lives out.
SWEEP_PARTS ?= load plain log
SWEEP_EVERY ?= 1
.PHONY: check-limits
check-limits: $(plugin) $(B)/tests/ring/fault_sweep
	@set -e; for part in $(SWEEP_PARTS); do \
	  BALLAST_PLUGIN=$(plugin) BALLAST_SWEEP_EVERY=$(SWEEP_EVERY) $(B)/tests/ring/fault_sweep $$part; done

.PHONY: check-kill
check-kill: $(plugin) $(B)/ballastctl $(B)/tests/ring/kill_sweep
	@BALLAST_PLUGIN=$(plugin) $(B)/tests/ring/kill_sweep $(B)/ballastctl

SOAK_SECONDS ?= 3600
.PHONY: check-soak
check-soak: $(plugin) $(B)/tests/ring/soak
	@BALLAST_PLUGIN=$(plugin) $(B)/tests/ring/soak $(SOAK_SECONDS)

# Whoever dies has the plugin as it is installed.
stripped := $(B)/tests/ring/handler_ballast.so
$(stripped): $(plugin)
	@mkdir -p $(@D)
	@strip -o $@ $<

.PHONY: build-core check-core check-core-sweep
build-core: $(stripped) $(B)/ballastctl $(B)/tests/ring/core_host
core_environment = CORE_HOST=$(abspath $(B))/tests/ring/core_host PLUGIN=$(stripped) BALLASTCTL=$(B)/ballastctl
check-core: build-core
	@$(core_environment) ci/run-tests core-$(VARIANT) tests/ring/core_test tests/ring/core_sweep
check-core-sweep: build-core
	@$(core_environment) tests/ring/core_sweep 100

.PHONY: check-instructions
check-instructions: $(plugin) $(B)/tests/ring/bench
	@tests/ring/instructions_test $(plugin) $(B)/tests/ring/bench

.PHONY: bench-native
bench-native: $(plugin) $(B)/tests/ring/bench
	@tests/ring/bench-native $(plugin) $(B)/tests/ring/bench
