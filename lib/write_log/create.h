// SPDX-License-Identifier: Apache-2.0
// Makes a new log on a device.
//
// All of the log is written once. A file system marks blocks that were only reserved, and turns
// each into a written one with a write to its journal: the first write of such a block took 100
// times as long as a later one.
#pragma once

#include <cstdint>
#include <string>

#include "lib/backend/backend.h"
#include "lib/base/result.h"
#include "lib/co/task.h"
#include "lib/write_log/scan.h"

namespace ballast::write_log {

struct NewLog {
  Uuid log{};         // random
  Identity identity;  // whose it is to be; `identity.log` does not matter
  std::string host{};
  std::string store_name{};
  bool over_another = false;  // a log that is there already may be lost
};

// The device has the size that the log is to have. What does not fit into whole segments is left
// over. When this ends well, the log is empty and durable. If it is cut off, no log is there.
co::Task<Result<void>> create(backend::Backend& device, NewLog wanted);

}  // namespace ballast::write_log
