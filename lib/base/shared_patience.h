// SPDX-License-Identifier: Apache-2.0
// SharedPatience: limits how long each of several callers in a row may wait, so that all of them
// together wait hardly longer than one.
//
// The daemon opens and closes its LUNs one after the other on its main thread. If each might wait
// five seconds, ten LUNs on one frozen disk would block that thread for most of a minute. So the
// callers share the whole time: what one has waited, the others lack, and it comes back as fast as
// time passes in which nobody waits. Nobody gets less than `least`. One thread only.
#pragma once

#include <algorithm>

#include "lib/base/units.h"

namespace ballast {

class SharedPatience {
 public:
  constexpr SharedPatience(Nanoseconds whole, Nanoseconds least)
      : whole_{whole}, least_{least}, left_{whole} {}

  // Returns how long the caller, which begins to wait now, may wait.
  Nanoseconds begin(TimePoint now) {
    left_ = std::min(whole_, left_ + (now - last_));
    last_ = now;
    return std::max(left_, least_);
  }
  // The caller has stopped waiting.
  void end(TimePoint now) {
    left_ = std::max(Nanoseconds{}, left_ - (now - last_));
    last_ = now;
  }

 private:
  const Nanoseconds whole_;
  const Nanoseconds least_;
  Nanoseconds left_;
  TimePoint last_{};
};

}  // namespace ballast
