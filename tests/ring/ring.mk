# SPDX-License-Identifier: Apache-2.0
# check-ring: the built plugin, loaded by a host that plays daemon and kernel.
# check-kill: 100 times SIGKILL under load, for a LUN with a write log; about two minutes.
# check-instructions: fails if a command takes over 2 % more instructions than instructions.tsv says.
# bench-native: commands per second and instructions per command with the same host.

ring_tests := ring_test freeze_test log_test kernel_test open_test passed_over_test watchdog_test
$(foreach p,$(ring_tests) fault_sweep kill_sweep bench,$(eval $(call host_program,ring/$(p))))
$(B)/tests/ring/kernel_test: $(B)/obj/tests/ring/kernel.o

.PHONY: check-ring build-ring
build-ring: $(plugin) $(ring_tests:%=$(B)/tests/ring/%)
check-ring: build-ring
	@BALLAST_PLUGIN=$(plugin) ci/run-tests ring-$(VARIANT) $(ring_tests:%=$(B)/tests/ring/%)

# This takes minutes, because each life of a LUN is a process.
.PHONY: check-limits
check-limits: $(plugin) $(B)/tests/ring/fault_sweep
	@BALLAST_PLUGIN=$(plugin) $(B)/tests/ring/fault_sweep

.PHONY: check-kill
check-kill: $(plugin) $(B)/ballastctl $(B)/tests/ring/kill_sweep
	@BALLAST_PLUGIN=$(plugin) $(B)/tests/ring/kill_sweep $(B)/ballastctl

.PHONY: check-instructions
check-instructions: $(plugin) $(B)/tests/ring/bench
	@tests/ring/instructions_test $(plugin) $(B)/tests/ring/bench

.PHONY: bench-native
bench-native: $(plugin) $(B)/tests/ring/bench
	@tests/ring/bench-native $(plugin) $(B)/tests/ring/bench
