# SPDX-License-Identifier: Apache-2.0
# Ballast. `make help` lists the targets.
#
# This one makefile, with the parts that it includes, builds everything; there is no recursion into
# folders. Folders say what a source becomes. Each lib/<room> becomes a static library, and handler/
# the plugin. tests/unit/<room>/<name>_test.cpp becomes a test that is linked with <room> and the
# rooms below it, and with nothing above.

BUILD ?= build
# release, debug, asan (with ubsan), tsan, coverage
VARIANT ?= release
PREFIX ?= /usr
PLUGIN_DIR ?= $(PREFIX)/lib/x86_64-linux-gnu/tcmu-runner
MODULES_LOAD_DIR ?= /etc/modules-load.d

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDEXPANSION:
MAKEFLAGS += --no-builtin-rules

# --- compiler and variant ------------------------------------------------------------------------
warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor \
            -Wold-style-cast -Woverloaded-virtual -Werror
CXXFLAGS_release := -O2 -g
CXXFLAGS_debug   := -O0 -g3
CXXFLAGS_asan    := -O1 -gline-tables-only -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
                   -DBALLAST_PLAIN_EXIT
CXXFLAGS_tsan    := -O1 -gline-tables-only -fsanitize=thread -fno-omit-frame-pointer
CXXFLAGS_coverage := -O0 -g --coverage -DBALLAST_PLAIN_EXIT
# The product is optimized as one program when it is linked, across the borders of rooms. The
# objects are fat ones, so that tests can link the same objects without that.
lto := -flto=auto
CXXFLAGS_product_release := $(lto) -ffat-lto-objects
# libFuzzer needs these to see where its input leads. Other programs do not use them.
CXXFLAGS_product_asan := -fsanitize-coverage=inline-8bit-counters,indirect-calls,trace-cmp,pc-table
CXXFLAGS_parser_asan := $(CXXFLAGS_product_asan)
# What need not be fast is compiled in two thirds of the time. -g1 is enough for a backtrace.
# Coroutines need tail calls. That warning is wrong too often without -O2.
CXXFLAGS_quick := -O1 -g1 -foptimize-sibling-calls -Wno-maybe-uninitialized
CXXFLAGS_parser_release := $(CXXFLAGS_quick)
CXXFLAGS_unit_release := $(CXXFLAGS_quick)
CXXFLAGS_tests_release := -g1
LDFLAGS_release := -fno-lto
LDFLAGS_lto_release := $(lto) -O2
LDFLAGS_coverage := --coverage
LDFLAGS_asan     := -fsanitize=address,undefined
LDFLAGS_tsan     := -fsanitize=thread
ifneq ($(filter asan tsan,$(VARIANT)),)
CXX := clang++-19
else ifeq ($(origin CXX),default)
CXX := g++
endif
ifeq ($(VARIANT),release)
B := $(BUILD)
else
B := $(BUILD)/$(VARIANT)
endif

# -MMD -MP: each object notes the files from which it was made.
cxx_common = -std=c++20 $(CXXFLAGS_$(VARIANT)) $(warnings) $(product) -I. $(system_headers) -fPIC \
             -fvisibility=hidden -fvisibility-inlines-hidden -pthread -MMD -MP $(EXTRA_CXXFLAGS)
# No error output: on a fresh machine make reads this file before ci/deps has installed anything.
pkg = $(shell pkg-config $(1) $(2) 2> /dev/null)
# The macros of GLib and libnl have casts in the style of C. As system headers they cause no
# warnings.
system_headers := $(patsubst -I%,-isystem %,$(filter -I%,$(call pkg,--cflags,gio-2.0 libnl-genl-3.0)))

# --- rooms, lowest first: a room may use the rooms before it -------------------------------------
rooms := base co watch io backend write_log volume scsi lun
room_sources = $(sort $(wildcard lib/$(1)/*.cpp))
room_objects = $(patsubst %.cpp,$(B)/obj/%.o,$(call room_sources,$(1)))
rooms := $(foreach r,$(rooms),$(if $(call room_sources,$(r)),$(r)))
# archives_upto <room>: the archives of that room and of those below it, the highest first, as the
# linker needs them.
reversed := $(foreach i,$(shell seq $(words $(rooms)) -1 1),$(word $(i),$(rooms)))
below = $(if $(1),$(if $(filter $(1),$(firstword $(2))),$(2),$(call below,$(1),$(wordlist 2,99,$(2)))))
archives_upto = $(patsubst %,$(B)/lib%.a,$(call below,$(1),$(reversed)))
all_archives := $(patsubst %,$(B)/lib%.a,$(reversed))
libs := $(call pkg,--libs,liburing)
plugin_libs := $(libs) $(call pkg,--libs,gio-2.0)

plugin := $(B)/handler_ballast.so
plugin_objects := $(patsubst %.cpp,$(B)/obj/%.o,$(sort $(wildcard handler/*.cpp)))

.PHONY: all
all: $(plugin) tools compile_commands.json

# This saves a third of the time of a sanitizer build.
ifneq ($(filter asan tsan,$(VARIANT)),)
precompiled := $(B)/obj/precompiled.pch
$(precompiled): ci/precompiled.h | build-packages
	@mkdir -p $(@D)
	@echo "  CXX   $<"
	@$(CXX) $(cxx_common) -x c++-header $< -o $@
use_precompiled := -include-pch $(precompiled)
endif

# Says what to install, instead of a compiler error about the first header that is missing.
.PHONY: build-packages
build-packages:
	@{ pkg-config --exists liburing fmt gio-2.0 libnl-genl-3.0 libkmod libsystemd libarchive smartcols prometheus-cpp-core 2> /dev/null && \
	  printf '#if !__has_include(<%s>)\n#error\n#endif\n' CLI/CLI.hpp boost/intrusive/set.hpp civetweb.h libnbd.h \
	  nlohmann/json.hpp rbd/librbd.h | $(CXX) -E -x c++ -; } > /dev/null 2>&1 || \
	  { ci/deps --missing build; echo "make: a package is missing: run ci/deps build" >&2; exit 1; }

$(B)/obj/tests/%.o: product = $(CXXFLAGS_tests_$(VARIANT))
$(B)/obj/tests/unit/%.o: product = $(CXXFLAGS_unit_$(VARIANT))
$(B)/obj/targetcli-config/ballastctl/%.o: product = $(CXXFLAGS_parser_$(VARIANT))
$(B)/obj/lib/%.o $(B)/obj/handler/%.o: product = $(CXXFLAGS_product_$(VARIANT))
$(B)/obj/%.o: %.cpp $(precompiled) | build-packages
	@mkdir -p $(@D)
	@echo "  CXX   $<"
	@$(CXX) $(cxx_common) $(use_precompiled) -c $< -o $@

define room_archive
$(B)/lib$(1).a: $(call room_objects,$(1))
	@echo "  AR    $$@"
	@rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach r,$(rooms),$(eval $(call room_archive,$(r))))

$(plugin): $(plugin_objects) $(all_archives) handler/handler_ballast.map
	@echo "  LINK  $@"
	@$(CXX) -shared $(if $(LDFLAGS_lto_$(VARIANT)),$(LDFLAGS_lto_$(VARIANT)),$(LDFLAGS_$(VARIANT))) -pthread -Wl,--version-script=handler/handler_ballast.map \
	  -Wl,-z,relro,-z,now -Wl,--as-needed -o $@ $(plugin_objects) $(all_archives) $(plugin_libs)

# A test below tests/ that loads the plugin, and plays daemon and kernel for it (tests/ring/host.h).
# -rdynamic: so the plugin finds the daemon's functions in it, as it does in the daemon.
host_objects := $(patsubst %,$(B)/obj/tests/ring/%.o,configfs daemon host support)
define host_program
$(B)/tests/$(1): $(B)/obj/tests/$(1).o $(host_objects) $(B)/libbase.a
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	@$$(CXX) $$(LDFLAGS_$$(VARIANT)) -pthread -rdynamic -o $$@ $$^ $$(call pkg,--libs,cmocka $$(host_packages))
endef

# --- other makefile parts: each test kind and tool brings its own rules ---------------------------
include $(sort $(wildcard kmodules/*.mk targetcli-config/*/*.mk tests/*/*.mk ci/*.mk))

.PHONY: tools
tools:

# --- unit tests ----------------------------------------------------------------------------------
UNIT_ROOMS ?= $(rooms)
unit_sources := $(sort $(foreach r,$(UNIT_ROOMS),$(wildcard tests/unit/$(r)/*_test.cpp)))
unit_tests := $(patsubst %.cpp,$(B)/%,$(unit_sources))
room_of = $(notdir $(patsubst %/,%,$(dir $(1))))

define unit_test
$(patsubst %.cpp,$(B)/%,$(1)): $(patsubst %.cpp,$(B)/obj/%.o,$(1)) $(call archives_upto,$(call room_of,$(1)))
	@mkdir -p $$(@D)
	@echo "  LINK  $$@"
	@$$(CXX) $$(LDFLAGS_$$(VARIANT)) -pthread -o $$@ $$^ $$(libs) $$(call pkg,--libs,cmocka)
endef
$(foreach t,$(unit_sources),$(eval $(call unit_test,$(t))))

.PHONY: unit build-unit
build-unit: $(unit_tests) $(B)/kmodules/self_test
unit: build-unit
	@ci/run-tests unit-$(VARIANT) $(unit_tests)

compile_commands.json: Makefile $(wildcard lib/*/*.cpp handler/*.cpp targetcli-config/*/*.cpp targetcli-config/*/*/*.cpp tests/*/*.cpp tests/*/*/*.cpp)
	@ci/compile-commands "$(CXX) $(filter-out -MMD -MP,$(cxx_common))" $(filter %.cpp,$^) > $@

# --- what a person types -------------------------------------------------------------------------
jobs := $(shell nproc)
sub = $(MAKE) --no-print-directory -j$(jobs)

.PHONY: deps-build deps-check deps-lab deps-deb deps-long
deps-build deps-check deps-lab deps-deb deps-long: deps-%:
	@ci/deps $*

.PHONY: run
run: deps-build $(if $(HOST),,deps-lab)
	@$(sub) all
	@ci/run

# Slower tests, which are run by hand. Those on another Debian come last. A step that fails does not
# keep the others from running; the summary ends with those that failed.
.PHONY: check-long
check-long: deps-build deps-check deps-lab deps-deb deps-long
	@ci/step --begin
	@ci/step "build" $(sub) all
	-@ci/step "lint" ci/lint
	-@ci/step "unit tests, debug" $(sub) VARIANT=debug unit
	-@ci/step "unit tests of all rooms under TSan" $(sub) VARIANT=tsan unit
	-@ci/step "a LUN's life while something runs out" $(sub) check-limits
	-@ci/step "LUNs with a log, killed 150 times" $(sub) check-kill
	-@ci/step "LUNs that come and go for an hour" $(sub) check-soak
	-@BALLAST_LONG=1 BALLAST_TEST_SECONDS=3000 ci/step "LUNs on real NBD servers, long" $(sub) check-nbd
	-@ci/step "images in a real Ceph, 1000 takeovers" $(sub) check-rbd-long
	-@ci/step "simulation, a million runs" $(sub) SIM_RUNS=1000000 check-sim
	-@ci/step "core files of processes that die under load" $(sub) check-core-sweep
	-@ci/step "fuzz" $(sub) -k FUZZ_SECONDS=600 $(fuzz_targets)
	-@ci/step "metrics, rules, dashboard and page, with promtool and Chromium; ten minutes of calls on the bus" $(sub) ANY_CALL_SECONDS=600 check-control
	-@ci/step "Debian packages, with debug symbols" ci/deb
	-@BALLAST_LONG=1 ci/step "end to end in the guest, long" ci/e2e
	-@BALLAST_LONG=1 ci/step "Ceph and two gateways, in guests" $(sub) check-ceph
	-@$(sub) -k check-trixie
	@ci/step --summary

# On Debian 13: built and tested in a root directory of that release, and in its guest.
.PHONY: check-trixie
check-trixie: deps-lab
	@failed=0; \
	for part in all unit check-ring check-ballastctl check-control check-sim check-nbd check-rbd check-core check-abi; do \
	  ci/step "make $$part, Debian 13" ci/suite trixie $(sub) BUILD=build/trixie $$part || failed=1; \
	done; \
	ci/step "Debian packages, Debian 13" ci/suite trixie env BUILD=build/trixie DEB_BUILD_OPTIONS=noautodbgsym ci/deb || failed=1; \
	ci/step "end to end in the guest, Debian 13" env LAB_SUITE=trixie BUILD=$(CURDIR)/build/trixie ci/e2e || failed=1; \
	exit $$failed

# An image in Ceph, and two gateways and an initiator in three guests. The guest with Ceph's
# packages takes long to make, so these tests are not part of make check.
.PHONY: check-ceph
check-ceph: deps-build deps-lab
	@$(sub) all
	@ci/lab run tests/e2e/ceph-*.t tests/e2e/ha-*.t

.PHONY: lint format
lint:
	@ci/lint
format:
	@git ls-files --cached --others --exclude-standard -- '*.cpp' '*.h' | xargs clang-format -i

# Installs all that an operator uses. systemd, D-Bus and man find their files below /usr and
# /usr/local. For another PREFIX they must be told where the files are.
share := $(DESTDIR)$(PREFIX)/share
sbin := $(DESTDIR)$(PREFIX)/sbin
operator_scripts := recipe login logout
strip := -s
.PHONY: install
install: all
	install -D -m 0644 $(plugin) $(DESTDIR)$(PLUGIN_DIR)/handler_ballast.so
	install -D $(strip) -m 0755 -t $(sbin) $(B)/ballastctl $(B)/ballast-exporter $(B)/ballast-kmod
	for section in 5 7 8; do \
	  install -D -m 0644 -t $(share)/man/man$$section targetcli-config/man/*.$$section; done
	install -D -m 0644 -t $(share)/bash-completion/completions targetcli-config/bash-completion/ballastctl
	install -D -m 0644 -t $(share)/dbus-1/system.d $(wildcard targetcli-config/dbus/*.conf)
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/lib/sysusers.d $(wildcard targetcli-config/sysusers/*.conf)
	install -D -m 0644 -t $(share)/zsh/vendor-completions targetcli-config/zsh-completion/_ballastctl
	install -D -m 0644 -t $(share)/ballast/recipes $(wildcard targetcli-config/recipes/*)
	install -D -m 0755 -t $(share)/ballast $(operator_scripts:%=targetcli-config/ballast-%)
	install -D -m 0755 -t $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/ballast targetcli-config/ocf/ballast-lun
	for script in $(operator_scripts); do \
	  ln -sfn ../share/ballast/ballast-$$script $(sbin)/ballast-$$script; done
	install -D -m 0644 -t $(share)/ballast/prometheus $(wildcard targetcli-config/prometheus/*)
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system $(wildcard targetcli-config/systemd/ballast-*)
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/lib/systemd/catalog targetcli-config/systemd/ballast.catalog
	for unit in tcmu-runner rtslib-fb-targetctl; do \
	  install -D -m 0644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit.service.d \
	    targetcli-config/systemd/$$unit.service.d/*.conf; done
	install -D -m 0644 -t $(DESTDIR)$(MODULES_LOAD_DIR) kmodules/modules-load.d/ballast.conf

# What `make install` installed; configuration that was written since stays.
.PHONY: uninstall
uninstall:
	rm -f $(DESTDIR)$(PLUGIN_DIR)/handler_ballast.so $(sbin)/ballastctl $(sbin)/ballast-exporter $(sbin)/ballast-kmod \
	  $(foreach section,5 7 8,$(patsubst targetcli-config/man/%,$(share)/man/man$(section)/%,$(wildcard targetcli-config/man/*.$(section)))) \
	  $(share)/bash-completion/completions/ballastctl \
	  $(patsubst targetcli-config/dbus/%,$(share)/dbus-1/system.d/%,$(wildcard targetcli-config/dbus/*.conf)) \
	  $(patsubst targetcli-config/sysusers/%,$(DESTDIR)$(PREFIX)/lib/sysusers.d/%,$(wildcard targetcli-config/sysusers/*.conf)) \
	  $(share)/zsh/vendor-completions/_ballastctl \
	  $(operator_scripts:%=$(sbin)/ballast-%) \
	  $(patsubst targetcli-config/systemd/%,$(DESTDIR)$(PREFIX)/lib/systemd/system/%,$(wildcard targetcli-config/systemd/ballast-*)) \
	  $(DESTDIR)$(PREFIX)/lib/systemd/catalog/ballast.catalog $(DESTDIR)$(MODULES_LOAD_DIR)/ballast.conf
	rm -rf $(share)/ballast $(DESTDIR)$(PREFIX)/lib/ocf/resource.d/ballast
	for unit in tcmu-runner rtslib-fb-targetctl; do \
	  folder=$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit.service.d; \
	  rm -f $$folder/ballast.conf $$folder/ballast-hardening.conf; \
	  rmdir --ignore-fail-on-non-empty $$folder 2> /dev/null || true; done

# Debian packages, in $(BUILD)/deb.
.PHONY: deb
deb: deps-build deps-deb
	@$(sub) all
	@BUILD=$(BUILD) ci/deb

.PHONY: help
help:
	@echo 'make                 the plugin, build/handler_ballast.so, and the tools'
	@echo 'make run             a real iSCSI login to a Ballast LUN, in a guest (HOST=1: on this machine;'
	@echo '                     BACKEND=nbd: on an NBD export instead of a file; BACKEND=rbd: in a real Ceph)'
	@echo 'make check           the tests'
	@echo 'make check-long      slower proofs, of hours'
	@echo 'make bench           against LIO and stock tcmu-runner, in a guest'
	@echo 'make bench-suite     libiscsi'\''s conformance suite against LIO, stock tcmu-runner and Ballast, in a guest'
	@echo 'make bench-trace     where the time of one command goes, in a guest'
	@echo 'make bench-many      what a thousand LUNs in one daemon take, in a guest'
	@echo 'make bench-freeze    one frozen disk in a session: LIO, stock tcmu-runner, Ballast'
	@echo 'make bench-native    the plugin alone, over shared memory'
	@echo 'make bench-co        the scheduler alone'
	@echo 'make bench-growth    fences and timers with 1 to 10,000 in flight'
	@echo 'make bench-elevator  reads beside many writes on a rotating disk, in a guest'
	@echo 'make bench-log       a LUN with a write log beside one without'
	@echo 'make bench-log-open  opening a write log that is full, or huge'
	@echo 'make bench-log-freeze  a write log, dm-writecache, bcache: the store freezes; the cache is lost'
	@echo 'make bench-limits    max_iops and max_bandwidth beside a throttle group of qemu-storage-daemon'
	@echo 'make unit            unit tests (VARIANT=release|debug|asan|tsan)'
	@echo 'make check-nbd       LUNs on real NBD servers (nbdkit, qemu-nbd)'
	@echo 'make check-rbd       images in a real Ceph'
	@echo 'make check-ceph      an image in Ceph, and two gateways that serve one, in guests'
	@echo 'make check-limits    a LUN'\''s life, again and again, while each thing fails once that can'
	@echo 'make check-soak      LUNs that come and go for SOAK_SECONDS (3600) in one process'
	@echo 'make check-control   the D-Bus object, ballastctl and ballast-exporter, on a bus of their own'
	@echo 'make check-ballastctl  its doctor, tune and watch, on made-up machines'
	@echo 'make lint            format, coroutine rules, headers, warnings, cppcheck'
	@echo 'make coverage        branches that the native tests reach, by room'
	@echo 'make mutate          whether the tests notice mistakes that are made on purpose (ONLY=pattern); hours'
	@echo 'make tidy            clang-tidy'
	@echo 'make install         the plugin, the tools, manuals, systemd and D-Bus files (DESTDIR, PREFIX, PLUGIN_DIR)'
	@echo 'make deb             Debian packages, in build/deb'
	@echo 'make uninstall       removes what make install has installed'
	@echo 'make clean'

.PHONY: clean
clean:
	rm -rf $(BUILD) compile_commands.json

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
