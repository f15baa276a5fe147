// SPDX-License-Identifier: Apache-2.0
// What to call a LUN in the log, in thread names and in INQUIRY; and where its attributes are.
#pragma once

#include <string>
#include <string_view>

#include "handler/tcmur_abi.h"

namespace ballast::handler {

// The backstore's name as targetcli shows it. libtcmu knows it and has no function for it, so it is
// read where libtcmu read it: /sys/class/uio/<uio>/name, "tcm-user/<hba>/<name>/<config>". Where
// that cannot be read: the uio device's name.
std::string lun_name(abi::tcmu_device* dev);

// The folder of its backstore in configfs, made out of the same text; empty where that cannot be
// read.
std::string configfs_folder(abi::tcmu_device* dev);

// The second and third part of such a text, or nothing.
struct Backstore {
  std::string_view hba;
  std::string_view name;
};
Backstore backstore_of(std::string_view uio_device_name);

}  // namespace ballast::handler
