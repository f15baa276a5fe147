# SPDX-License-Identifier: Apache-2.0
# check-control: the D-Bus object with made-up LUNs on a bus of its own, which the real ballastctl
# and the real ballast-exporter ask; and tests of the parts of all three. Calls at random take
# ANY_CALL_SECONDS of it.

ANY_CALL_SECONDS ?= 5

control_objects := $(patsubst %,$(B)/obj/handler/%.o,control lun_directory signals)
control_host := $(B)/tests/control/host

$(control_host): $(B)/obj/tests/control/host.o $(B)/obj/tests/control/luns.o $(control_objects) \
                 $(call archives_upto,watch)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(libs) $(call pkg,--libs,gio-2.0)

$(B)/tests/control/lun_directory_test: $(B)/obj/tests/control/lun_directory_test.o \
                                       $(B)/obj/handler/lun_directory.o $(B)/libbase.a
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(libs) $(call pkg,--libs,cmocka)

$(B)/tests/control/output_test: $(B)/obj/tests/control/output_test.o \
                                $(B)/obj/targetcli-config/ballastctl/text/output.o \
                                $(B)/obj/targetcli-config/ballastctl/text/table.o $(B)/libbase.a
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(ballastctl_libs) $(libs) $(call pkg,--libs,cmocka)

bus_programs := $(addprefix $(B)/tests/control/,other_version any_call)
$(bus_programs): $(B)/%: $(B)/obj/%.o $(call archives_upto,watch)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(libs) $(call pkg,--libs,gio-2.0)

exporter_tests := $(patsubst %,$(B)/tests/control/%_test,exporter_parts one_at_a_time)
$(exporter_tests): $(B)/%: $(B)/obj/%.o $(B)/libexporter.a $(B)/libballastctl.a \
                   $(call archives_upto,lun)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(exporter_libs) $(call pkg,--libs,cmocka)

control_tests := $(addprefix $(B)/tests/control/,lun_directory_test output_test) $(exporter_tests)
.PHONY: check-control build-control
build-control: $(control_tests) $(control_host) $(bus_programs) $(B)/ballastctl \
               $(B)/ballast-exporter
check-control: build-control
	@CONTROL_HOST=$(control_host) BALLASTCTL=$(B)/ballastctl EXPORTER=$(B)/ballast-exporter \
	  OTHER_VERSION=$(B)/tests/control/other_version ANY_CALL=$(B)/tests/control/any_call \
	  ANY_CALL_SECONDS=$(ANY_CALL_SECONDS) \
	  ci/run-tests control-$(VARIANT) \
	  $(control_tests) tests/control/ballastctl_test tests/control/any_call_test tests/control/exporter_test
