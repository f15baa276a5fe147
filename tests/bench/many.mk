# SPDX-License-Identifier: Apache-2.0
# Shows what a thousand LUNs in one daemon take, in the guest.
.PHONY: bench-many
bench-many: deps-build deps-lab
	@$(sub) all
	@BUILD=$(abspath $(BUILD)) RAM=$${RAM:-14000} ci/lab exec tests/bench/many/guest.sh
