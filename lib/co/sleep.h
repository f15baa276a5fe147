// SPDX-License-Identifier: Apache-2.0
// Sleeping, and letting other coroutines run.
//
//   co_await co::sleep_for(executor, 5ms);
//   const bool whole = co_await co::sleep_until(executor, at, token);  // false: asked to stop
//   co_await co::yield(executor);
//
// A sleeper goes on at the first tick at or after its time, or at once if that is past. Driving
// thread only; allocates nothing.
#pragma once

#include <coroutine>

#include "lib/co/timed_wait.h"

namespace ballast::co {

class CancellableSleep {
 public:
  CancellableSleep(Executor& executor, TimePoint at, CancelToken token, Site site)
      : wait_{executor, "sleep", at, token, site} {}
  bool await_ready() { return wait_.over_before_it_began(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    wait_.suspend(handle);
  }
  [[nodiscard]] bool await_resume() { return wait_.finish() == WaitEnd::timed_out; }

 private:
  TimedWait wait_;
};

class Sleep : public CancellableSleep {
 public:
  Sleep(Executor& executor, TimePoint at, Site site)
      : CancellableSleep{executor, at, CancelToken{}, site} {}
  void await_resume() { (void)CancellableSleep::await_resume(); }
};

inline Sleep sleep_until(Executor& executor, TimePoint at, Site site = Site::current()) {
  return Sleep{executor, at, site};
}
inline Sleep sleep_for(Executor& executor, Nanoseconds time, Site site = Site::current()) {
  return Sleep{executor, executor.now() + time, site};
}
inline CancellableSleep sleep_until(Executor& executor, TimePoint at, CancelToken token,
                                    Site site = Site::current()) {
  return CancellableSleep{executor, at, token, site};
}
inline CancellableSleep sleep_for(Executor& executor, Nanoseconds time, CancelToken token,
                                  Site site = Site::current()) {
  return CancellableSleep{executor, executor.now() + time, token, site};
}

// Goes once through the run queue: everything that is ready already runs first.
class Yield {
 public:
  Yield(Executor& executor, Site site) : wait_{executor, "yield", site}, site_{site} {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    wait_.await_suspend(handle);
    (void)wait_.waker().wake(0, site_);
  }
  void await_resume() noexcept { (void)wait_.await_resume(); }

 private:
  Wait wait_;
  Site site_;
};

inline Yield yield(Executor& executor, Site site = Site::current()) {
  return Yield{executor, site};
}

}  // namespace ballast::co
