# SPDX-License-Identifier: Apache-2.0
# Fuzzers: tests/fuzz/<name>_fuzz.cpp becomes the target fuzz-<name>. It runs for FUZZ_SECONDS, and
# begins with the corpus of earlier runs in the build folder, and with the examples in
# tests/fuzz/corpus/<name>. It links clang's libFuzzer with the objects of the asan variant, whose
# code records for libFuzzer which places were reached.

FUZZ_SECONDS ?= 20
fuzz_names := $(patsubst tests/fuzz/%_fuzz.cpp,%,$(sort $(wildcard tests/fuzz/*_fuzz.cpp)))
fuzz_targets := $(addprefix fuzz-,$(fuzz_names))
.PHONY: $(fuzz_targets) build-fuzz

ifeq ($(VARIANT),asan)
fuzz := $(BUILD)/fuzz
$(fuzz)/ring_fuzz: $(patsubst %,$(B)/obj/handler/%.o,ring_entries ring_cursor passed_over)
$(fuzz)/core_fuzz: $(patsubst %.cpp,$(B)/obj/%.o,$(filter-out %/core.cpp,$(wildcard targetcli-config/ballastctl/core/*.cpp)) \
  $(wildcard targetcli-config/ballastctl/text/*.cpp))
# Parts of ballastctl, since all of it would take minutes to compile.
ctl_parts = $(patsubst %,$(B)/obj/targetcli-config/ballastctl/%.o,$(1))
$(fuzz)/saved_fuzz: $(B)/obj/handler/saved_configuration.o $(call ctl_parts,check/restore machine/files machine/inventory machine/target)
$(fuzz)/history_fuzz: $(call ctl_parts,machine/files text/cells text/output text/table watch/history watch/incident_file)
$(fuzz)/set_fuzz: $(call ctl_parts,machine/files machine/target settings/lun_named settings/rows settings/set ask/daemon text/output text/table)
$(fuzz)/core_fuzz $(fuzz)/saved_fuzz $(fuzz)/history_fuzz $(fuzz)/set_fuzz: fuzz_libs = $(call pkg,--libs,smartcols gio-2.0)
$(fuzz_names:%=$(fuzz)/%_fuzz): $(fuzz)/%_fuzz: $(B)/obj/tests/fuzz/%_fuzz.o $(all_archives)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) -fsanitize=fuzzer,address,undefined -pthread -o $@ $(filter %.o,$^) $(all_archives) $(libs) $(fuzz_libs)

build-fuzz: $(fuzz_names:%=$(fuzz)/%_fuzz)
$(fuzz_targets): fuzz-%: $(fuzz)/%_fuzz
	@mkdir -p $(fuzz)/corpus/$* $(fuzz)/found
	@$< -max_total_time=$(FUZZ_SECONDS) -timeout=60 -max_len=8192 -print_final_stats=1 -print_funcs=0 -verbosity=0 \
	  -artifact_prefix=$(fuzz)/found/$*- $(fuzz)/corpus/$* $(wildcard tests/fuzz/corpus/$*)
else
build-fuzz:
	@$(MAKE) --no-print-directory VARIANT=asan $@
$(fuzz_targets): build-fuzz
	@$(MAKE) --no-print-directory VARIANT=asan $@
endif
