// SPDX-License-Identifier: Apache-2.0
// Makes a new log on a device.
//
// The device must be empty: its first MiB reads as zeros. So a log never goes over a file system, a
// partition table or somebody's data by mistake.
//
// All of the log is written once. A file system marks blocks that were only reserved, and turns
// each into a written one with a write to its journal: the first write of such a block took 100
// times as long as a later one.
#pragma once

#include <cstdint>
#include <string>

#include "lib/backend/backend.h"
#include "lib/base/result.h"
#include "lib/co/cancel.h"
#include "lib/co/task.h"
#include "lib/write_log/scan.h"

namespace ballast::write_log {

struct NewLog {
  Uuid log{};         // random
  Identity identity;  // whose it is to be; `identity.log` does not matter
  std::string host{};
  std::string store_name{};
  // The device need not be empty: what is there may be lost.
  bool over_another = false;
};

// The log has the size that `identity.size` says, or else that of the device. What does not fit
// into whole segments is left over. When this ends well, the log is empty and durable. If it is cut
// off, or ends with ECANCELED because `cancel` was requested, no log is there.
co::Task<Result<void>> create(backend::Backend& device, NewLog wanted, co::CancelToken cancel = {});

}  // namespace ballast::write_log
