# SPDX-License-Identifier: Apache-2.0
# Measures Ballast beside LIO's own backstores and stock tcmu-runner, in the guest.
.PHONY: bench
bench: deps-build deps-lab
	@$(sub) all
	@$(if $(findstring rbd,$(BENCH_TARGETS)),LAB_WITH=ceph) BUILD=$(abspath $(BUILD)) ci/lab exec tests/bench/target/guest.sh
