// SPDX-License-Identifier: Apache-2.0
// Attributes: the files in the folder attrib of a LUN's backstore in configfs (cmd_time_out, for
// example). targetcli calls them attributes.
//
// The constructor opens the folder, and read() and write() open a file by its name in it. They must
// not walk a path from the root. While a backstore is removed, the kernel holds the folders above
// it locked, and the removal waits for our close(). A thread of ours that walks a path meanwhile
// would wait for ever. Reading costs three system calls and waits for no storage.
//
// Any thread, but only one at a time.
#pragma once

#include <optional>

#include "handler/tcmur_abi.h"
#include "lib/base/unique_fd.h"

namespace ballast::handler {

class Attributes {
 public:
  // Walks a path, so make it only while the daemon adds the device.
  explicit Attributes(abi::tcmu_device* dev);

  // Returns nothing if the folder or the attribute does not exist, or its value is not a number.
  std::optional<int> read(const char* name) const;
  // Returns false if the kernel does not accept the value, or does not accept it now.
  bool write(const char* name, int value) const;

 private:
  UniqueFd folder_;  // empty: there is none
};

}  // namespace ballast::handler
