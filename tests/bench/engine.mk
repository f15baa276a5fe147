# SPDX-License-Identifier: Apache-2.0
# The speed of LUNs on NBD and RBD, beside fio's engines of these names.
.PHONY: bench-nbd bench-rbd
bench-nbd: $(plugin) $(B)/tests/ring/bench
	@tests/bench/engine/bench-engine nbd $^
bench-rbd: $(plugin) $(B)/tests/ring/bench
	@tests/rbd/cluster tests/bench/engine/bench-engine rbd $^
