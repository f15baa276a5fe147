# SPDX-License-Identifier: Apache-2.0
# Measures what one frozen disk does to a session, with LIO's block backstore, stock tcmu-runner and
# Ballast.
.PHONY: bench-freeze
bench-freeze: deps-build deps-lab
	@$(sub) all
	@BUILD=$(abspath $(BUILD)) tests/bench/freeze/run.sh
