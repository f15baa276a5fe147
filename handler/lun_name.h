// SPDX-License-Identifier: Apache-2.0
// The name of a LUN in the log, in thread names and in INQUIRY, and the folder of its attributes.
#pragma once

#include <string>
#include <string_view>

#include "handler/tcmur_abi.h"
#include "lib/base/unique_fd.h"

namespace ballast::handler {

// Returns the backstore's name, as targetcli shows it. libtcmu knows the name but has no function
// for it. So it is read from the same file that libtcmu read: /sys/class/uio/<uio>/name, which has
// "tcm-user/<hba>/<name>/<config>". If the file cannot be read: the uio device's name.
std::string lun_name(abi::tcmu_device* dev);

// Opens a folder of the backstore in configfs, "attrib", "alua" or "wwn", to open files by their
// names in it. The path is made out of the same text. Walks that path, so call it only while the
// daemon adds the device (attributes.h). Empty: the text cannot be read, or there is no such
// folder.
UniqueFd open_in_configfs(abi::tcmu_device* dev, const char* folder);

// Returns the second and third part of such a text; empty parts if it has another form.
struct Backstore {
  std::string_view hba;
  std::string_view name;
};
Backstore backstore_of(std::string_view uio_device_name);

}  // namespace ballast::handler
