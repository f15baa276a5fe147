# SPDX-License-Identifier: Apache-2.0
# ballast-kmod, and the tests of its pure parts.

kmod_sources := $(filter-out kmodules/self_test.cpp,$(sort $(wildcard kmodules/*.cpp)))
kmod_objects := $(patsubst %.cpp,$(B)/obj/%.o,$(kmod_sources))
kmod_libs = $(call pkg,--libs,libkmod gio-2.0)

tools: $(B)/ballast-kmod
$(B)/ballast-kmod: $(kmod_objects) $(B)/libbase.a
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(kmod_libs)

$(B)/kmodules/self_test: $(B)/obj/kmodules/self_test.o $(filter-out %/main.o,$(kmod_objects)) $(B)/libbase.a
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(kmod_libs) $(call pkg,--libs,cmocka)

.PHONY: unit-kmodules
unit-kmodules: $(B)/kmodules/self_test
	@ci/run-tests kmodules-$(VARIANT) $<
unit: unit-kmodules
