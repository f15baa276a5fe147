# SPDX-License-Identifier: Apache-2.0
# Small programs that the guest tests run: each tests/e2e/tools/<name>.cpp is one, without libraries
# of ours, since they judge them. ci/lab shares the build tree into the guest.
e2e_tools := $(patsubst %.cpp,$(B)/%,$(sort $(wildcard tests/e2e/tools/*.cpp)))

$(e2e_tools): $(B)/%: $(B)/obj/%.o
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -o $@ $<

tools: $(e2e_tools)
