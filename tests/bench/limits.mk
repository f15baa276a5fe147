# SPDX-License-Identifier: Apache-2.0
# How exactly max_iops and max_bandwidth are kept, beside a throttle group of qemu-storage-daemon.
.PHONY: bench-limits
bench-limits: deps-build deps-lab
	@$(sub) all
	@BUILD=$(abspath $(BUILD)) ci/lab exec tests/bench/limits/guest.sh
