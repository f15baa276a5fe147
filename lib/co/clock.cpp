// SPDX-License-Identifier: Apache-2.0
#include "lib/co/clock.h"

namespace ballast::co {

TimePoint SteadyClock::now() const noexcept {
  return TimePoint{std::chrono::steady_clock::now().time_since_epoch()};
}

}  // namespace ballast::co
