# SPDX-License-Identifier: Apache-2.0
# What one frozen disk does to a session: LIO's block backstore, stock tcmu-runner, Ballast.
.PHONY: bench-freeze
bench-freeze: deps-build deps-lab
	@$(sub) all
	@BUILD=$(abspath $(BUILD)) tests/bench/freeze/run.sh
