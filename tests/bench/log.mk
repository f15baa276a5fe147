# SPDX-License-Identifier: Apache-2.0
# A LUN with a write log beside one without, on the same disk, natively.
.PHONY: bench-log
bench-log: $(plugin) $(B)/tests/ring/bench $(B)/tests/bench/log_open_bench
	@tests/bench/log/bench-log $^
