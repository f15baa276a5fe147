// SPDX-License-Identifier: Apache-2.0
// PollWorth: whether polling before a sleep pays.
//
// Two changes of threads cost more than an operation of a fast disk, but polling for a slow disk
// only burns processor time. One sleep in `probe_every` begins with a poll as a probe. A poll that
// finds completions earns a credit, and one that finds none costs `miss_costs`. While there is
// credit, every sleep begins with a poll. One thread at a time.
#pragma once

#include <algorithm>

namespace ballast::io {

class PollWorth {
 public:
  static constexpr unsigned probe_every = 64;
  static constexpr int most_credit = 16;
  static constexpr int miss_costs = 2;

  // Whether to poll before this sleep. Call it once before each sleep.
  bool worth_it() { return credit_ > 0 || ++asked_ % probe_every == 0; }
  void was(bool found) {
    credit_ = found ? std::min(credit_ + 1, most_credit) : std::max(credit_ - miss_costs, 0);
  }

 private:
  int credit_ = 0;
  unsigned asked_ = 0;
};

}  // namespace ballast::io
