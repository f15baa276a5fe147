// SPDX-License-Identifier: Apache-2.0
// PollWorth: whether polling before a sleep pays.
//
// Two changes of threads cost more than a fast disk does, but polling for a slow one only burns the
// processor. One sleep in `probe_every` tries; from a hit on every one does, until misses have used
// up the credit of the hits. One thread at a time.
#pragma once

#include <algorithm>

namespace ballast::io {

class PollWorth {
 public:
  static constexpr unsigned probe_every = 64;
  static constexpr int most_credit = 16;
  static constexpr int miss_costs = 2;

  // Asked before each sleep.
  bool worth_it() { return credit_ > 0 || ++asked_ % probe_every == 0; }
  void was(bool found) {
    credit_ = found ? std::min(credit_ + 1, most_credit) : std::max(credit_ - miss_costs, 0);
  }

 private:
  int credit_ = 0;
  unsigned asked_ = 0;
};

}  // namespace ballast::io
