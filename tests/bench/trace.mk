# SPDX-License-Identifier: Apache-2.0
# Shows where the time of one command goes, in the guest, from the kernel's trace points.
.PHONY: bench-trace
bench-trace: deps-build deps-lab
	@$(sub) all
	@BUILD=$(abspath $(BUILD)) ci/lab exec tests/bench/trace/guest.sh
