# SPDX-License-Identifier: Apache-2.0
# ballastctl, the operator's tool. All of it but its main() is an archive, of which ballast-exporter
# takes what it needs.

ballastctl_sources := $(sort $(wildcard targetcli-config/ballastctl/*.cpp targetcli-config/ballastctl/*/*.cpp))
ballastctl_objects := $(patsubst %.cpp,$(B)/obj/%.o,$(ballastctl_sources)) $(B)/obj/kmodules/io_uring.o
ballastctl_main := $(filter %/main.o,$(ballastctl_objects))
ballastctl_libs = $(call pkg,--libs,gio-2.0 libnl-genl-3.0 smartcols prometheus-cpp-core libsystemd libarchive)

$(B)/libballastctl.a: $(filter-out $(ballastctl_main),$(ballastctl_objects))
	@echo "  AR    $@"
	@rm -f $@ && ar rcs $@ $^

tools: $(B)/ballastctl
$(B)/ballastctl: $(ballastctl_main) $(B)/libballastctl.a $(call archives_upto,lun)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(ballastctl_libs) $(libs)
