# SPDX-License-Identifier: Apache-2.0
# check-handler: tests each part of the plugin that reads foreign memory or foreign texts by itself.

handler_test_parts := $(patsubst %,$(B)/obj/handler/%.o,ring_entries ring_cursor passed_over ring_watch sweep alua saved_configuration)
handler_tests := $(patsubst %.cpp,$(B)/%,$(sort $(wildcard tests/handler/*_test.cpp)))

$(handler_tests): $(B)/%: $(B)/obj/%.o $(handler_test_parts) $(all_archives)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(libs) $(call pkg,--libs,cmocka)

$(B)/tests/handler/names_test: $(B)/obj/handler/lun_name.o
$(B)/tests/handler/daemon_log_test: $(B)/obj/handler/daemon_log.o

.PHONY: check-handler build-handler
build-handler: $(handler_tests)
check-handler: build-handler
	@ci/run-tests handler-$(VARIANT) $(handler_tests)
