// SPDX-License-Identifier: Apache-2.0
// The limits of a LUN that its configuration string sets. lib/scsi/task_set.h says how those of
// time are kept, lib/scsi/throttle.h the others. They may change while the LUN is in use.
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
  Nanoseconds stall_after = std::chrono::seconds{3};  // an operation of this age stalls the LUN
  std::uint32_t stall_window = 0;  // commands that a stalled LUN holds; 0: its share
  // How long BUSY is answered while the store does not answer. Linux accepts BUSY for 180 s. A
  // third of that is left for the time that a command spends in the initiator before it comes here:
  // in a queue, or because the session's window is full.
  Nanoseconds busy_for = std::chrono::seconds{120};
  std::uint32_t max_iops = 0;  // commands a second that read or change blocks; 0: no limit
  Bytes max_bandwidth{};       // bytes a second that they read or change; 0: no limit
  Nanoseconds burst = std::chrono::milliseconds{100};  // the time for which both may be saved up
  friend bool operator==(const Limits&, const Limits&) = default;
};

Keys keys_of(Limits& limits);
// Checks the limits against each other: slow and stall_after must be below the deadline. And
// max_bandwidth must let a command through within it.
Result<void> check(const Limits& limits);

// Refuses the value of the key `name` that is not below the deadline: it would never be reached,
// because the command is answered before.
Result<void> check_below_deadline(std::string_view name, Nanoseconds value, Nanoseconds deadline);

// The limits in a configuration string; the default for each that it does not set. Settings that
// cannot be parsed are skipped, because the string may come from a newer plugin, which has accepted
// it.
Limits limits_of(std::string_view text);

}  // namespace ballast::config
