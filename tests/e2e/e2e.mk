# SPDX-License-Identifier: Apache-2.0
# Small programs that the guest tests run. Each tests/e2e/tools/<name>.cpp is one. They use no
# library of Ballast, because they judge it. ci/lab shares the build tree into the guest.
e2e_tools := $(patsubst %.cpp,$(B)/%,$(sort $(wildcard tests/e2e/tools/*.cpp)))

$(e2e_tools): $(B)/%: $(B)/obj/%.o
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -o $@ $<

tools: $(e2e_tools)
