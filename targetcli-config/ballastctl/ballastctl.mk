# SPDX-License-Identifier: Apache-2.0
# ballastctl, the operator's tool.

ballastctl_sources := $(sort $(wildcard targetcli-config/ballastctl/*.cpp targetcli-config/ballastctl/*/*.cpp))
ballastctl_objects := $(patsubst %.cpp,$(B)/obj/%.o,$(ballastctl_sources))
ballastctl_libs = $(call pkg,--libs,gio-2.0 libnl-genl-3.0 smartcols prometheus-cpp-core)

tools: $(B)/ballastctl
$(B)/ballastctl: $(ballastctl_objects) $(call archives_upto,lun)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(ballastctl_libs) $(libs)
