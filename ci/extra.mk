# SPDX-License-Identifier: Apache-2.0
# Examinations that are made now and then, by hand.
.PHONY: deps-extra coverage tidy
deps-extra:
	@ci/deps extra

# Branches that the native tests reach, by room.
coverage: deps-build deps-check deps-extra
	@ci/coverage

# Runs clang-tidy with the checks of .clang-tidy, which gives the reason for each. Takes ten minutes
# on two cores.
tidy: deps-build deps-check deps-extra compile_commands.json
	@git ls-files 'lib/*.cpp' 'handler/*.cpp' 'kmodules/*.cpp' 'targetcli-config/*.cpp' | \
	  xargs -P $(jobs) -n 4 clang-tidy-19 --quiet -p . --extra-arg=-Wno-unknown-warning-option
