// SPDX-License-Identifier: Apache-2.0
// The stalled LUNs of one process, and how many commands each of them may hold.
//
// The LUNs of an iSCSI session share one command window: 64 commands unless the target says
// otherwise (LIO's default_cmdsn_depth). What a stalled LUN holds of it the healthy ones miss. So
// the stalled LUNs of the process share half of it: one alone keeps 32, which is all that Linux
// sends to a LUN, two keep 16 each, eight 4. Which sessions a LUN is in TCMU does not tell: LUNs
// that are in different ones share all the same.
//
// One for all LUNs of the process; it outlives them. Any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace ballast::scsi {

class StalledLuns {
 public:
  static constexpr std::uint32_t room = 32;

  // One stalled LUN, for as long as this lives.
  class Place {
   public:
    explicit Place(StalledLuns& luns) : luns_{luns} {
      luns_.count_.fetch_add(1, std::memory_order_relaxed);
    }
    ~Place() { luns_.count_.fetch_sub(1, std::memory_order_relaxed); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    StalledLuns& luns_;
  };

  std::uint32_t count() const { return count_.load(std::memory_order_relaxed); }
  // Of one stalled LUN.
  std::uint32_t share() const { return std::max(1U, room / std::max(1U, count())); }

 private:
  std::atomic<std::uint32_t> count_{0};
};

}  // namespace ballast::scsi
