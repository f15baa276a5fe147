// SPDX-License-Identifier: Apache-2.0
// Where an executor's time comes from, so that a test can own it.
#pragma once

#include "lib/base/units.h"

namespace ballast::co {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const noexcept = 0;  // never goes back; any thread
};

// CLOCK_MONOTONIC.
class SteadyClock final : public Clock {
 public:
  TimePoint now() const noexcept override;
};

// A clock that stands still until advance_to() moves it. One thread.
class VirtualClock final : public Clock {
 public:
  TimePoint now() const noexcept override { return now_; }
  void advance_to(TimePoint at) {
    BALLAST_ASSERT(at >= now_);
    now_ = at;
  }

 private:
  TimePoint now_{};
};

}  // namespace ballast::co
