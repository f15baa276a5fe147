// SPDX-License-Identifier: Apache-2.0
// SharedPatience: how long each of several callers in a row may wait, so that all of them together
// wait no longer than one.
//
// The daemon opens and closes its LUNs one after the other on its main thread. Were each given five
// seconds, ten LUNs on one frozen disk would keep that thread for most of a minute. The first of a
// row gets the whole; whoever comes within `pause` after the last one was done gets what is left of
// it, and always `least`. One thread only.
#pragma once

#include <algorithm>

#include "lib/base/units.h"

namespace ballast {

class SharedPatience {
 public:
  constexpr SharedPatience(Nanoseconds whole, Nanoseconds least, Nanoseconds pause)
      : whole_{whole}, least_{least}, pause_{pause} {}

  // For the caller that begins to wait now.
  Nanoseconds begin(TimePoint now) {
    if (!in_a_row_ || now - last_end_ > pause_) {
      until_ = now + whole_;
    }
    in_a_row_ = true;
    last_end_ = std::max(last_end_, now);
    return std::clamp(until_ - now, least_, whole_);
  }
  // It has waited.
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
