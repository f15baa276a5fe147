# SPDX-License-Identifier: Apache-2.0
# ballast-kmod, and the tests of its pure parts.

kmod_sources := $(filter-out kmodules/self_test.cpp,$(sort $(wildcard kmodules/*.cpp)))
kmod_objects := $(patsubst %.cpp,$(B)/obj/%.o,$(kmod_sources))
kmod_libs = $(call pkg,--libs,libkmod gio-2.0 fmt)

tools: $(B)/ballast-kmod
$(B)/ballast-kmod: $(kmod_objects) $(B)/libbase.a
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(kmod_libs)

$(B)/kmodules/self_test: $(B)/obj/kmodules/self_test.o $(filter-out %/main.o,$(kmod_objects)) $(B)/libbase.a
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(kmod_libs) $(call pkg,--libs,cmocka)

.PHONY: unit-kmodules
unit-kmodules: $(B)/kmodules/self_test
	@ci/run-tests kmodules-$(VARIANT) $<
unit: unit-kmodules

# --- what an operator uses, beside the plugin ---
share = $(DESTDIR)$(PREFIX)/share/ballast
.PHONY: install-operator
install: install-operator
install-operator: $(B)/ballast-kmod
	install -D -m 0755 $< $(DESTDIR)$(PREFIX)/sbin/ballast-kmod
	install -d $(share)/recipes
	install -m 0755 $(addprefix targetcli-config/ballast-,recipe login logout) $(share)
	install -m 0644 $(wildcard targetcli-config/recipes/*) $(share)/recipes
	for tool in recipe login logout; do \
	  ln -sfn ../share/ballast/ballast-$$tool $(DESTDIR)$(PREFIX)/sbin/ballast-$$tool; done
	for unit in tcmu-runner rtslib-fb-targetctl; do \
	  install -D -m 0644 targetcli-config/systemd/$$unit.service.d/ballast.conf \
	    $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit.service.d/ballast.conf; done
