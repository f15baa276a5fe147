// SPDX-License-Identifier: Apache-2.0
// SharedPatience: limits how long each of several callers in a row may wait, so that all of them
// together wait hardly longer than one.
//
// The daemon opens and closes its LUNs one after the other on its main thread. If each might wait
// five seconds, ten LUNs on one frozen disk would block that thread for most of a minute. So the
// first caller of a row gets the whole time. A caller that comes within `pause` after the last one
// was done gets the rest of that time, and never less than `least`. One thread only.
#pragma once

#include <algorithm>

#include "lib/base/units.h"

namespace ballast {

class SharedPatience {
 public:
  constexpr SharedPatience(Nanoseconds whole, Nanoseconds least, Nanoseconds pause)
      : whole_{whole}, least_{least}, pause_{pause} {}

  // Returns how long the caller, which begins to wait now, may wait.
  Nanoseconds begin(TimePoint now) {
    if (!in_a_row_ || now - last_end_ > pause_) {
      until_ = now + whole_;
    }
    in_a_row_ = true;
    last_end_ = std::max(last_end_, now);
    return std::clamp(until_ - now, least_, whole_);
  }
  // The caller has stopped waiting.
  void end(TimePoint now) { last_end_ = now; }

 private:
  const Nanoseconds whole_;
  const Nanoseconds least_;
  const Nanoseconds pause_;
  bool in_a_row_ = false;
  TimePoint last_end_{};
  TimePoint until_{};
};

}  // namespace ballast
