// SPDX-License-Identifier: Apache-2.0
// A manual-reset event: set() lets everyone through until reset().
//
//   co_await event.wait();
//   const bool came = co_await event.wait_until(deadline);      // false: the deadline came first
//   const bool went = co_await event.wait(token);               // false: asked to stop
//
// set() lets all waiters through, in the order in which they came, even if reset() follows at once.
// A wait that ends by deadline or cancellation has left the event before its coroutine goes on. An
// event that is set already wins over a past deadline and a requested token. Destroying an event
// that has waiters is a bug (asserted). Driving thread only; allocates nothing.
#pragma once

#include <coroutine>

#include "lib/co/intrusive_list.h"
#include "lib/co/timed_wait.h"

namespace ballast::co {

class Event {
 public:
  explicit Event(Executor& executor, const char* what = "event")
      : executor_{executor}, what_{what} {}
  ~Event() = default;  // asserts that there are no waiters
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  class Waiter : public ListNode<Waiter> {
   public:
    Waiter(Event& event, TimePoint deadline, CancelToken token, Site site)
        : event_{event}, wait_{event.executor_, event.what_, deadline, token, site} {}
    bool await_ready() { return event_.set_ || wait_.over_before_it_began(); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
      event_.waiters_.push_back(*this);
      wait_.suspend(handle);
    }
    [[nodiscard]] bool await_resume() {
      if (linked()) {
        event_.waiters_.remove(*this);
      }
      return wait_.finish() == WaitEnd::happened;
    }

   private:
    friend class Event;
    Event& event_;
    TimedWait wait_;
  };

  class UnboundedWaiter : public Waiter {
   public:
    using Waiter::Waiter;
    void await_resume() { BALLAST_ASSERT(Waiter::await_resume()); }
  };

  Executor& executor() { return executor_; }
  bool is_set() const { return set_; }
  void set(Site site = Site::current());
  void reset() { set_ = false; }
  std::size_t waiting() const { return waiters_.size(); }

  UnboundedWaiter wait(Site site = Site::current()) {
    return UnboundedWaiter{*this, Timers::never, CancelToken{}, site};
  }
  Waiter wait(CancelToken token, Site site = Site::current()) {
    return Waiter{*this, Timers::never, token, site};
  }
  // The wait is over at the first tick at or after `deadline`. A past deadline does not suspend.
  Waiter wait_until(TimePoint deadline, Site site = Site::current()) {
    return Waiter{*this, deadline, CancelToken{}, site};
  }
  Waiter wait_until(TimePoint deadline, CancelToken token, Site site = Site::current()) {
    return Waiter{*this, deadline, token, site};
  }

 private:
  friend struct Anatomy;
  Executor& executor_;
  const char* what_;
  bool set_ = false;
  IntrusiveList<Waiter> waiters_;
};

}  // namespace ballast::co
