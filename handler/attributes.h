// SPDX-License-Identifier: Apache-2.0
// Attributes: the files of a LUN's backstore in configfs, attrib/cmd_time_out and its like, which
// targetcli calls attributes.
//
// The folder is opened once, and a file by its name in it. A path would be walked from the root;
// the kernel holds the folders above a backstore locked while it is removed, and the removal waits
// for our close(): whoever walks a path then waits for ever. Reading costs two system calls and
// waits for no storage.
//
// Any thread; one at a time.
#pragma once

#include <optional>

#include "handler/tcmur_abi.h"

namespace ballast::handler {

class Attributes {
 public:
  // Walks a path: only while the daemon adds the device.
  explicit Attributes(abi::tcmu_device* dev);
  ~Attributes();
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  // Nothing: there is no such attribute, or no such folder.
  std::optional<int> read(const char* name) const;
  // False: the kernel does not take it, or not now.
  bool write(const char* name, int value) const;

 private:
  int folder_ = -1;
};

}  // namespace ballast::handler
