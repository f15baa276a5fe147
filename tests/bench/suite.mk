# SPDX-License-Identifier: Apache-2.0
# libiscsi's conformance suite on Ballast, on LIO's fileio and on stock tcmu-runner, in the guest.
.PHONY: bench-suite
bench-suite: deps-build deps-lab
	@$(sub) all
	@BUILD=$(abspath $(BUILD)) LAB_TIMEOUT=$${LAB_TIMEOUT:-7200} ci/lab exec tests/bench/suite/guest.sh
