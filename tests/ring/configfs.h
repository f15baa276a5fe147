// SPDX-License-Identifier: Apache-2.0
// The kernel's trees as far as the plugin reads them, played by a folder: the name of a uio device,
// and the attributes of its backstore. The host's open() comes before libc's for the plugin, and
// leads it here.
#pragma once

#include <string>

namespace ballast::ring_test {

// A backstore as it is when it has just been enabled.
void add_to_configfs(const std::string& uio_name);
// As rtslib writes it, and as targetcli shows it.
void set_attribute(const std::string& uio_name, const char* name, int value);
int attribute(const std::string& uio_name, const char* name);

// Where set: whether the plugin's open() is to fail with EMFILE. `caller`: who called open().
extern bool (*refuse_open)(const void* caller);

}  // namespace ballast::ring_test
