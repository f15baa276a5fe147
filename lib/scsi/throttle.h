// SPDX-License-Identifier: Apache-2.0
// Throttle: lets a LUN's commands through at a limited rate, in the order in which they come.
//
// Each of the two rates, commands and bytes, is one point in time: the one at which all that went
// through so far would have gone through at exactly that rate. A command may go when that point is
// no further than `burst` in the future, so that a LUN that was idle may do the work of `burst` at
// once. A command that is larger than a burst goes, too, and those behind it wait for longer.
//
// A command that waits here has not reached the store. When its deadline comes, the task set
// answers it BUSY, and it counts for nothing.
//
// Driving thread only. Allocates nothing but a coroutine's frame.
#pragma once

#include <cstdint>

#include "lib/base/limits.h"
#include "lib/base/units.h"
#include "lib/co/cancel.h"
#include "lib/co/event.h"
#include "lib/co/semaphore.h"
#include "lib/co/task.h"

namespace ballast::scsi {

class Throttle {
 public:
  Throttle(co::Executor& executor, const config::Limits& limits);

  // Commands that wait go by the new limits.
  void set_limits(const config::Limits& limits);
  // Whether a command may have to wait.
  bool is_on() const { return on_; }
  // Waits until a command of so many bytes may go, and counts it. If it is cancelled before, it
  // ends early and counts nothing.
  co::Task<void> pass(Bytes bytes, co::CancelToken cancel);

  co::Executor& executor() { return turn_.executor(); }

 private:
  TimePoint earliest(TimePoint now) const;
  void count(Bytes bytes, TimePoint now);

  bool on_ = false;
  Nanoseconds a_command_{};  // at the rate of commands; 0: no limit
  Bytes a_second_{};         // at the rate of bytes; 0: no limit
  Nanoseconds burst_{};
  TimePoint commands_{};
  TimePoint bytes_{};
  co::Semaphore turn_;  // the first in the queue has it
  co::Event changed_;   // wakes that one when the limits change
};

}  // namespace ballast::scsi
