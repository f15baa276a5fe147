# SPDX-License-Identifier: Apache-2.0
# check-ballastctl: tests doctor, tune and watch on trees of files that look like a machine's, and
# log on write logs in files. Each tests/ballastctl/<name>_test.cpp is linked with ballastctl except
# its main(). It also tests the scripts beside it, and what `make install` installs.

ctl_tests := $(patsubst %.cpp,$(B)/%,$(sort $(wildcard tests/ballastctl/*_test.cpp)))
ctl_test_objects = $(filter-out %/main.o,$(ballastctl_objects)) $(B)/obj/tests/ballastctl/tree.o

$(ctl_tests): $(B)/%: $(B)/obj/%.o $$(ctl_test_objects) $(call archives_upto,lun)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(ballastctl_libs) $(libs) $(call pkg,--libs,cmocka)

.PHONY: check-ballastctl build-ballastctl
build-ballastctl: $(ctl_tests) $(B)/tests/control/host $(B)/ballastctl
check-ballastctl: build-ballastctl
	@CONTROL_HOST=$(B)/tests/control/host BALLASTCTL=$(B)/ballastctl \
	  ci/run-tests ballastctl-$(VARIANT) $(ctl_tests) tests/ballastctl/watch_bus_test tests/ballastctl/history_test tests/ballastctl/report_test \
	  tests/ballastctl/login_test tests/ballastctl/ocf_agent_test tests/ballastctl/recipe_test tests/ballastctl/removal_test

check-ballastctl: check-install
.PHONY: check-install
check-install: all
	@BUILD=$(BUILD) VARIANT=$(VARIANT) ci/run-tests install-$(VARIANT) tests/ballastctl/install_test
