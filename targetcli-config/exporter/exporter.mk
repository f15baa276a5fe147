# SPDX-License-Identifier: Apache-2.0
# ballast-exporter, metrics over HTTP. It asks and reads with the code of ballastctl.

exporter_objects := $(patsubst %.cpp,$(B)/obj/%.o,$(sort $(wildcard targetcli-config/exporter/*.cpp)))
exporter_main := $(filter %/main.o,$(exporter_objects))
exporter_libs = -Wl,--as-needed $(ballastctl_libs) $(libs) -lcivetweb

$(B)/libexporter.a: $(filter-out $(exporter_main),$(exporter_objects))
	@echo "  AR    $@"
	@rm -f $@ && ar rcs $@ $^

tools: $(B)/ballast-exporter
$(B)/ballast-exporter: $(exporter_main) $(B)/libexporter.a $(B)/libballastctl.a \
                       $(call archives_upto,lun)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(exporter_libs)
