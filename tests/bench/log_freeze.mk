# SPDX-License-Identifier: Apache-2.0
# The store behind a fast disk freezes, and the fast disk is lost: a write log, dm-writecache, bcache.
.PHONY: bench-log-freeze
bench-log-freeze: deps-build deps-lab
	@$(sub) all
	@BUILD=$(abspath $(BUILD)) ci/lab exec tests/bench/log_freeze/guest.sh
