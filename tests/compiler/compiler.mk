# SPDX-License-Identifier: Apache-2.0
# check-compiler: tests whether this compiler has the traps that lib/co works around. Each canary is
# built unoptimized and optimized, without sanitizers, in every variant.

canary_sources := $(sort $(wildcard tests/compiler/*.cpp))
canaries := $(foreach o,0 2,$(patsubst %.cpp,$(B)/%-O$(o),$(canary_sources)))
canary_flags := -std=c++20 -g -w -I.

$(filter %-O0,$(canaries)): $(B)/%-O0: %.cpp tests/compiler/canary.h
	@mkdir -p $(@D)
	@echo "  CXX   $< (-O0)"
	@$(CXX) $(canary_flags) -O0 -o $@ $<

$(filter %-O2,$(canaries)): $(B)/%-O2: %.cpp tests/compiler/canary.h
	@mkdir -p $(@D)
	@echo "  CXX   $< (-O2)"
	@$(CXX) $(canary_flags) -O2 -o $@ $<

.PHONY: check-compiler build-compiler
build-compiler: $(canaries)
check-compiler: build-compiler
	@for canary in $(canaries); do $$canary | sed "s|^|  $$(basename $$canary): |"; done
	@ci/run-tests compiler $(canaries)
