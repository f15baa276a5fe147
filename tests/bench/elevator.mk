# SPDX-License-Identifier: Apache-2.0
# Reads beside many writes on a disk that rotates: the kernel's schedulers and Ballast's elevator.
.PHONY: bench-elevator
bench-elevator: deps-build deps-lab
	@$(sub) all
	@BUILD=$(abspath $(BUILD)) ci/lab exec tests/bench/elevator/guest.sh
