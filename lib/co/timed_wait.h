// SPDX-License-Identifier: Apache-2.0
// One suspension with up to three ways to end: the event came, its deadline came, or cancellation
// was requested. The first one wins. The others find the wait over and do nothing, because losing
// this race is no mistake. Event, semaphore and sleep are made of it.
//
// It is part of an awaiter, so it lives in the frame of the coroutine that waits, and its Waker
// never leaves it. Driving thread only.
#pragma once

#include <coroutine>
#include <cstdint>
#include <optional>

#include "lib/co/cancel.h"
#include "lib/co/executor.h"

namespace ballast::co {

enum class WaitEnd : std::uint8_t { happened, timed_out, cancelled };

class TimedWait {
 public:
  // `deadline` is Timers::never for none. `token` is empty for none.
  TimedWait(Executor& executor, const char* what, TimePoint deadline, CancelToken token, Site site)
      : executor_{executor},
        what_{what},
        deadline_{deadline},
        token_{token},
        site_{site},
        timer_{executor.timers()} {}

  // True if the wait is over before it began, because it is cancelled already or the deadline is
  // past. Then it need not suspend, and finish() says which.
  bool over_before_it_began();

  template <class Promise>
  void suspend(std::coroutine_handle<Promise> handle) {
    begin();
    wait_->await_suspend(handle);
  }

  // Whether it waits and nothing has ended it yet.
  bool pending() const { return wait_.has_value() && wait_->waker().pending(); }

  // The event came. Call only while pending().
  void happened(Site site = Site::current()) {
    (void)wait_->waker().wake(static_cast<std::int64_t>(WaitEnd::happened), site);
  }

  // For await_resume: unregisters from timers and cancel source, and returns how the wait ended.
  // WaitEnd::happened if it never suspended and was not over before it began.
  WaitEnd finish();

 private:
  void begin();
  Executor& executor_;
  const char* what_;
  TimePoint deadline_;
  CancelToken token_;
  Site site_;
  WaitEnd end_ = WaitEnd::happened;
  std::optional<Wait> wait_;
  Timer timer_;
  CancelLink link_;
};

}  // namespace ballast::co
