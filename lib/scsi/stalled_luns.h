// SPDX-License-Identifier: Apache-2.0
// StalledLuns: counts the stalled LUNs of one process, and says how many commands each of them may
// hold.
//
// The LUNs of an iSCSI session share one command window: 64 commands, unless the target has another
// limit (LIO's default_cmdsn_depth). The healthy LUNs miss the part of it that a stalled LUN holds.
// So the stalled LUNs of the process share half of the window. One stalled LUN may hold 32, which
// is all that Linux sends to a LUN; two may hold 16 each, eight may hold 4 each. TCMU does not tell
// which sessions a LUN is in. So LUNs that are in different sessions share the half as well.
//
// There is one for all LUNs of the process, and it outlives them. Any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace ballast::scsi {

class StalledLuns {
 public:
  static constexpr std::uint32_t room = 32;

  // Counts one stalled LUN while this object lives.
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
  // The number of commands that one stalled LUN may hold.
  std::uint32_t share() const { return share_of(count()); }
  static constexpr std::uint32_t share_of(std::uint32_t stalled) {
    return std::max(1U, room / std::max(1U, stalled));
  }

 private:
  std::atomic<std::uint32_t> count_{0};
};

}  // namespace ballast::scsi
