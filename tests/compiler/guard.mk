# SPDX-License-Identifier: Apache-2.0
# check-guard: the test of the double entry must fail if the guard is switched off. lib/co and the
# test are compiled a second time, with BALLAST_TEST_WITHOUT_WAKE_GUARD.

guard_off := $(B)/guard-off
guard_off_sources := $(call room_sources,co) $(call room_sources,base) \
                     tests/unit/co/double_entry_test.cpp
guard_off_objects := $(patsubst %.cpp,$(guard_off)/%.o,$(guard_off_sources))

$(guard_off_objects): $(guard_off)/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  CXX   $< (guard off)"
	@$(CXX) $(cxx_common) -DBALLAST_TEST_WITHOUT_WAKE_GUARD -c $< -o $@

$(guard_off)/double_entry_test: $(guard_off_objects)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(call pkg,--libs,cmocka)

.PHONY: unit-guard-off check-guard build-guard
build-guard: $(guard_off)/double_entry_test $(B)/tests/unit/co/double_entry_test
unit-guard-off: $(guard_off)/double_entry_test
	@if timeout 60 $< >$<.log 2>&1; then \
	  echo "unit-guard-off: the test of the double entry passes without the guard: it tests nothing"; \
	  exit 1; \
	fi
	@echo "  ok    without the guard the double entry is caught: $$(grep -m 1 -E \
	  'assertion failed|Sanitizer|FAILED|rror' $<.log)"

check-guard: $(B)/tests/unit/co/double_entry_test unit-guard-off
	@ci/run-tests guard-on $(B)/tests/unit/co/double_entry_test

-include $(guard_off_objects:.o=.d)
