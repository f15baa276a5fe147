// SPDX-License-Identifier: Apache-2.0
// Timers of one executor: an intrusive binary heap, logarithmic in the number armed.
//
// The code that waits owns the Timer, usually as a local of its coroutine. Arming allocates nothing
// in steady state. A timer that goes out of scope disarms itself. Driving thread only.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "lib/base/units.h"
#include "lib/co/wait.h"

namespace ballast::co {

class Timers;

class Timer {
 public:
  explicit Timer(Timers& timers) : timers_{timers} {}
  ~Timer() { disarm(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Wakes `waker` with `value` at the first tick at or after `at`. It must not be armed already.
  void arm(TimePoint at, Waker waker, std::int64_t value = 0, Site site = Site::current());
  // The same for a wait with several ways to end: if the wait is over by then, the timer wakes
  // nothing and reports nothing.
  void arm_deadline(TimePoint at, Waker waker, std::int64_t value = 0, Site site = Site::current());
  void disarm();
  bool armed() const { return index_ != none; }

 private:
  friend class Timers;
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  Timers& timers_;
  TimePoint at_{};
  std::uint64_t order_ = 0;  // equal times fire in the order of arming
  Waker waker_{};
  std::int64_t value_ = 0;
  Site site_{};
  bool may_lose_ = false;
  std::size_t index_ = none;
};

class Timers {
 public:
  static constexpr TimePoint never{Nanoseconds::max()};
  Timers() { heap_.reserve(reserved); }
  ~Timers();  // asserts that none is armed
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  TimePoint next() const { return heap_.empty() ? never : heap_.front()->at_; }
  std::size_t size() const { return heap_.size(); }
  // Wakes every waker that is due at `now`.
  void fire(TimePoint now);

 private:
  friend class Timer;
  void insert(Timer* timer);
  void erase(Timer* timer);
  void up(std::size_t index);
  void down(std::size_t index);
  static bool before(const Timer* a, const Timer* b);

  // Far more than the tasks of a LUN that wait for a time: a command has no timer of its own.
  static constexpr std::size_t reserved = 256;
  std::vector<Timer*> heap_;
  std::uint64_t next_order_ = 0;
};

}  // namespace ballast::co
