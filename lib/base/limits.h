// SPDX-License-Identifier: Apache-2.0
// What a LUN is held to in time, as far as its configuration string says so (lib/base/config.h has
// names and ranges; lib/scsi/task_set.h says what must come of it). Changes while the LUN is in
// use.
#pragma once

#include <cstdint>

#include "lib/base/units.h"

namespace ballast::config {

struct Limits {
  Nanoseconds deadline = std::chrono::seconds{20};    // the age at which a command must be answered
  Nanoseconds slow = std::chrono::seconds{1};         // the age at which it is logged as slow
  Nanoseconds stall_after = std::chrono::seconds{3};  // the age of an operation that stalls the LUN
  std::uint32_t stall_window = 0;  // commands that a stalled LUN holds; 0: its share
  // How long BUSY is answered while the store does not answer. Of the 180 s that Linux believes it
  // a third is left for the time that a command spends in the initiator before it comes here, in a
  // queue or because the session's window is full.
  Nanoseconds busy_for = std::chrono::seconds{120};
  friend bool operator==(const Limits&, const Limits&) = default;
};

}  // namespace ballast::config
