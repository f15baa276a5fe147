# SPDX-License-Identifier: Apache-2.0
# check-ring: the built plugin, loaded by a host that plays daemon and kernel.
# check-instructions: fails if a command takes over 2 % more instructions than instructions.tsv says.
# bench-native: commands per second and instructions per command with the same host.

ring_tests := ring_test freeze_test kernel_test open_test passed_over_test
ring_objects := $(patsubst %,$(B)/obj/tests/ring/%.o,configfs daemon host support)

# -rdynamic: so the plugin finds the daemon's functions in the host, as it does in the daemon.
define ring_program
$(B)/tests/ring/$(1): $(B)/obj/tests/ring/$(1).o $(ring_objects) $(B)/libbase.a
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	@$$(CXX) $$(LDFLAGS_$$(VARIANT)) -pthread -rdynamic -o $$@ $$^ $$(call pkg,--libs,fmt cmocka)
endef
$(foreach p,$(ring_tests) fault_sweep bench,$(eval $(call ring_program,$(p))))
$(B)/tests/ring/kernel_test: $(B)/obj/tests/ring/kernel.o

.PHONY: check-ring build-ring
build-ring: $(plugin) $(ring_tests:%=$(B)/tests/ring/%)
check-ring: build-ring
	@BALLAST_PLUGIN=$(plugin) ci/run-tests ring-$(VARIANT) $(ring_tests:%=$(B)/tests/ring/%)

# This takes minutes, because each life of a LUN is a process.
.PHONY: check-limits
check-limits: $(plugin) $(B)/tests/ring/fault_sweep
	@BALLAST_PLUGIN=$(plugin) $(B)/tests/ring/fault_sweep

.PHONY: check-instructions
check-instructions: $(plugin) $(B)/tests/ring/bench
	@tests/ring/instructions_test $(plugin) $(B)/tests/ring/bench

.PHONY: bench-native
bench-native: $(plugin) $(B)/tests/ring/bench
	@tests/ring/bench-native $(plugin) $(B)/tests/ring/bench
