// SPDX-License-Identifier: Apache-2.0
// PollBudget: how much processor time may be polled away in vain.
//
// A budget is a share of one processor, in percent. What is spent is paid back at half of that
// rate, and half of a second's share may be spent at once. So no second has more than the share,
// but for the last poll, which may go over it.
//
// Any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "lib/base/units.h"

namespace ballast::io {

class PollBudget {
 public:
  // Whether more may be spent. A share of 0 allows nothing.
  bool allows(unsigned percent, TimePoint now) const {
    return percent > 0 && paid_back_at_.load(std::memory_order_relaxed) <= now.since_start.count();
  }

  void spend(Nanoseconds in_vain, unsigned percent, TimePoint now) {
    const std::int64_t takes = in_vain.count() * 200 / static_cast<std::int64_t>(percent);
    const std::int64_t earliest = now.since_start.count() - at_once.count();
    std::int64_t before = paid_back_at_.load(std::memory_order_relaxed);
    while (!paid_back_at_.compare_exchange_weak(before, std::max(before, earliest) + takes,
                                                std::memory_order_relaxed)) {
    }
  }

 private:
  // How long it takes to pay back the most that may be spent at once.
  static constexpr Nanoseconds at_once = std::chrono::seconds{1};

  // When all is paid back, in ns since the clock's start. It begins so early that at_once can be
  // taken off.
  std::atomic<std::int64_t> paid_back_at_{INT64_MIN / 2};
};

}  // namespace ballast::io
