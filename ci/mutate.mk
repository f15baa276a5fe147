# SPDX-License-Identifier: Apache-2.0
# make mutate: whether the tests notice the mistakes of tests/mutants. It takes hours.
#
#   make mutate ONLY='volume-*'    those whose names match
#   make mutate-check              whether the source still has the text of each; ci/lint does the same
.PHONY: mutate mutate-check
mutate: deps-build deps-check
	@ci/mutate $(if $(ONLY),'$(ONLY)')
mutate-check:
	@ci/mutate --check $(if $(ONLY),'$(ONLY)')
