# SPDX-License-Identifier: Apache-2.0
# ballastctl, the operator's tool.

ballastctl_sources := $(sort $(wildcard targetcli-config/ballastctl/*.cpp targetcli-config/ballastctl/*/*.cpp))
ballastctl_objects := $(patsubst %.cpp,$(B)/obj/%.o,$(ballastctl_sources))
ballastctl_libs = $(call pkg,--libs,gio-2.0 libnl-genl-3.0 smartcols fmt)

tools: $(B)/ballastctl
$(B)/ballastctl: $(ballastctl_objects) $(call archives_upto,backend)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(ballastctl_libs) $(libs)

.PHONY: install-ballastctl
install: install-ballastctl
install-ballastctl: $(B)/ballastctl
	install -D -m 0755 $< $(DESTDIR)$(PREFIX)/sbin/ballastctl
	install -D -m 0644 targetcli-config/man/ballastctl.8 $(DESTDIR)$(PREFIX)/share/man/man8/ballastctl.8
	install -D -m 0644 targetcli-config/bash-completion/ballastctl \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ballastctl
	install -D -m 0644 targetcli-config/dbus/org.ballast.Ballast1.conf \
	  $(DESTDIR)$(PREFIX)/share/dbus-1/system.d/org.ballast.Ballast1.conf
