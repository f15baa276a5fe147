// SPDX-License-Identifier: Apache-2.0
// What a LUN is held to in time, as far as its configuration string says so (lib/scsi/task_set.h
// says what must come of it). Changes while the LUN is in use.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/keys.h"
#include "lib/base/result.h"
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

Keys keys_of(Limits& limits);
// Whether they go together: slow and stall_after are below the deadline.
Result<void> check(const Limits& limits);

// What a configuration string says of time, or the defaults. What is not understood is passed over:
// for a reader of the string of a plugin that has accepted it, and may be newer.
Limits limits_of(std::string_view text);

}  // namespace ballast::config
