// SPDX-License-Identifier: Apache-2.0
// The name of a LUN in the log, in thread names and in INQUIRY, and the folder of its attributes.
#pragma once

#include <string>
#include <string_view>

#include "handler/tcmur_abi.h"

namespace ballast::handler {

// Returns the backstore's name, as targetcli shows it. libtcmu knows the name but has no function
// for it. So it is read from the same file that libtcmu read: /sys/class/uio/<uio>/name, which has
// "tcm-user/<hba>/<name>/<config>". If the file cannot be read: the uio device's name.
std::string lun_name(abi::tcmu_device* dev);

// Returns the backstore's folder in configfs, made out of the same text; empty if that cannot be
// read.
std::string configfs_folder(abi::tcmu_device* dev);

// Returns the second and third part of such a text; empty parts if it has another form.
struct Backstore {
  std::string_view hba;
  std::string_view name;
};
Backstore backstore_of(std::string_view uio_device_name);

}  // namespace ballast::handler
