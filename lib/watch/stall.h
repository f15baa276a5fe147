// SPDX-License-Identifier: Apache-2.0
// What a LUN tells on its own account: that its store stalls, and that it answers again. The front
// end fills it in when the task set says so (lib/scsi/task_set.h, STALL), and report.h writes it.
// Plain values, for any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/base/units.h"
#include "lib/watch/command_record.h"
#include "lib/watch/snapshot.h"

namespace ballast::watch {

// The beginning of a stall. What the LUN counts from then on is what the stall costs.
struct StallBegin {
  TimePoint at{};
  LunCounters counters;
  std::uint64_t store_errors = 0;
};

struct StallNews {
  LunSnapshot lun;  // at the moment that it tells of, without lists
  StallBegin begin;
  // The command whose operation has been at the store for longest. Nothing: the LUN has recovered.
  std::optional<CommandRecord> oldest;
};

inline std::uint64_t all_store_errors(const LunSnapshot& lun) {
  std::uint64_t count = 0;
  for (const StoreErrors& errors : lun.store_errors) {
    count += errors.count;
  }
  return count;
}

// Commands that were answered before they were done.
inline std::uint64_t answered_early(const LunCounters& counted) {
  return counted.deadlines + counted.shed + counted.aborted;
}

}  // namespace ballast::watch
