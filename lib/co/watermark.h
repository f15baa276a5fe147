// SPDX-License-Identifier: Apache-2.0
// Watermark: a number that only grows, and that coroutines wait for. It says how far numbered work
// is done: everything up to the mark is.
//
//   const IoStatus status = co_await durable.reached(number);
//   const IoStatus status = co_await durable.reached(number, token);
//
// advance() lets through those whose number is reached, in the order in which they came. The work
// may fail for good: after fail(), a wait for a number above the mark ends with that status, and so
// do all later ones. What was reached before stays reached. A wait whose token is requested ends
// with cancelled. A number that is reached already, or a failure, wins over a requested token;
// later, what comes first wins.
//
// A waiter lives in the frame of the coroutine that waits, so there are no more than coroutines.
// Destroying a watermark that has waiters is a bug (asserted). Driving thread only; allocates
// nothing.
#pragma once

#include <coroutine>
#include <cstdint>

#include "lib/base/result.h"
#include "lib/co/intrusive_list.h"
#include "lib/co/timed_wait.h"

namespace ballast::co {

class Watermark {
 public:
  // `what` names what is waited for, and must outlive the watermark (a literal).
  Watermark(Executor& executor, const char* what, std::uint64_t mark = 0)
      : executor_{executor}, what_{what}, mark_{mark} {}
  ~Watermark() = default;  // asserts that there are no waiters
  Watermark(const Watermark&) = delete;
  Watermark& operator=(const Watermark&) = delete;

  class [[nodiscard]] Waiter : public ListNode<Waiter> {
   public:
    Waiter(Watermark& watermark, std::uint64_t number, CancelToken token, Site site)
        : watermark_{watermark},
          number_{number},
          wait_{watermark.executor_, watermark.what_, Timers::never, token, site} {}
    bool await_ready();
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
      watermark_.waiters_.push_back(*this);
      wait_.suspend(handle);
    }
    IoStatus await_resume();

   private:
    friend class Watermark;
    Watermark& watermark_;
    const std::uint64_t number_;
    IoStatus status_ = IoStatus::cancelled;
    TimedWait wait_;
  };

  std::uint64_t mark() const { return mark_; }
  bool failed() const { return !ok(failure_); }
  std::size_t waiting() const { return waiters_.size(); }

  // The mark never falls, and stays where it is after a failure (both asserted).
  void advance(std::uint64_t mark, Site site = Site::current());
  // The first failure counts. `status` is not ok.
  void fail(IoStatus status, Site site = Site::current());

  Waiter reached(std::uint64_t number, CancelToken token = {}, Site site = Site::current()) {
    return Waiter{*this, number, token, site};
  }

 private:
  friend struct Anatomy;
  void let_through(std::uint64_t up_to, IoStatus status, Site site);
  Executor& executor_;
  const char* what_;
  std::uint64_t mark_;
  IoStatus failure_ = IoStatus::ok;
  IntrusiveList<Waiter> waiters_;
};

}  // namespace ballast::co
