// SPDX-License-Identifier: Apache-2.0
// What to call a LUN in the log, in thread names and in INQUIRY.
#pragma once

#include <string>
#include <string_view>

#include "handler/tcmur_abi.h"

namespace ballast::handler {

// The backstore's name as targetcli shows it. libtcmu knows it and has no function for it, so it is
// read where libtcmu read it: /sys/class/uio/<uio>/name, "tcm-user/<hba>/<name>/<config>". Where
// that cannot be read: the uio device's name.
std::string lun_name(abi::tcmu_device* dev);

// The third part of such a text, or nothing.
std::string_view backstore_name(std::string_view uio_device_name);

}  // namespace ballast::handler
