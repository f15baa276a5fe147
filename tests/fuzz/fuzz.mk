# SPDX-License-Identifier: Apache-2.0
# Fuzzers: tests/fuzz/<name>_fuzz.cpp becomes the target fuzz-<name>, which runs FUZZ_SECONDS from
# the corpus of earlier runs under the build folder. clang's libFuzzer, with ASan and UBSan.

FUZZ_CXX ?= clang++-19
FUZZ_SECONDS ?= 20
fuzz_flags := -std=c++20 -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
              -fno-sanitize-recover=all -I. -pthread
fuzz_objects := $(patsubst %.cpp,$(BUILD)/fuzz/obj/%.o,\
                $(foreach r,$(rooms),$(call room_sources,$(r))))
fuzz_names := $(patsubst tests/fuzz/%_fuzz.cpp,%,$(sort $(wildcard tests/fuzz/*_fuzz.cpp)))

$(BUILD)/fuzz/obj/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  CXX   $< (fuzz)"
	@$(FUZZ_CXX) $(fuzz_flags) -MMD -MP -c $< -o $@

$(BUILD)/fuzz/ring_fuzz: $(patsubst %,$(BUILD)/fuzz/obj/handler/%.o,ring_entries ring_cursor passed_over)
$(BUILD)/fuzz/%_fuzz: $(BUILD)/fuzz/obj/tests/fuzz/%_fuzz.o $(fuzz_objects)
	@echo "  LINK  $@"
	@$(FUZZ_CXX) -fsanitize=fuzzer,address,undefined -pthread -o $@ $^ $(libs)

.PRECIOUS: $(BUILD)/fuzz/obj/%.o
.PHONY: $(addprefix fuzz-,$(fuzz_names))
$(addprefix fuzz-,$(fuzz_names)): fuzz-%: $(BUILD)/fuzz/%_fuzz
	@mkdir -p $(BUILD)/fuzz/corpus/$* $(BUILD)/fuzz/found
	@$< -max_total_time=$(FUZZ_SECONDS) -max_len=8192 -print_final_stats=1 -print_funcs=0 -verbosity=0 \
	  -artifact_prefix=$(BUILD)/fuzz/found/$*- $(BUILD)/fuzz/corpus/$*

-include $(shell find $(BUILD)/fuzz -name '*.d' 2>/dev/null)
