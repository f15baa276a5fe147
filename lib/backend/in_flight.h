// SPDX-License-Identifier: Apache-2.0
// Counts the operations of one backend that are running, so that close() can wait for the last.
// Driving thread only.
#pragma once

#include <cstddef>

#include "lib/base/assert.h"
#include "lib/co/cancel.h"
#include "lib/co/task.h"
#include "lib/io/uring.h"

namespace ballast::backend {

class InFlight {
 public:
  explicit InFlight(co::Executor& executor) : executor_{executor} {}
  ~InFlight() { BALLAST_ASSERT(count_ == 0); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

  // The same by hand.
  void enter() {
    ++count_;
    used_ = true;
  }
  void leave() {
    if (--count_ == 0 && last_) {
      const co::Waker waker = last_;
      last_ = {};
      waker.wake();
    }
  }

  // A local of each operation.
  class [[nodiscard]] Guard {
   public:
    explicit Guard(InFlight& in_flight) : in_flight_{in_flight} { in_flight_.enter(); }
    ~Guard() { in_flight_.leave(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    InFlight& in_flight_;
  };

  // The same for one that runs on a ring: it is cancelled there when `cancel` asks.
  class Op final : private co::CancelHook {
   public:
    Op(InFlight& in_flight, io::Uring& uring, co::CancelToken cancel)
        : uring_{uring}, guard_{in_flight} {
      const bool asked = hook(cancel);
      if (asked) {
        uring_.cancel(ticket);
      }
    }
    Op(const Op&) = delete;
    Op& operator=(const Op&) = delete;

    io::OpTicket ticket;

   private:
    void cancel_requested() override { uring_.cancel(ticket); }
    io::Uring& uring_;
    Guard guard_;
  };

  co::Executor& executor() { return executor_; }
  std::size_t count() const { return count_; }
  // Whether there ever was an operation. A backend without one may go without being closed: what is
  // built around it may have found no memory.
  bool used() const { return used_; }

  // Ends when no operation runs. One waiter at a time; nobody starts another meanwhile.
  co::Task<void> drained() {
    if (count_ > 0) {
      co::Wait wait{executor_, "a backend's last operation"};
      last_ = wait.waker();
      co_await wait;
    }
  }

 private:
  co::Executor& executor_;
  std::size_t count_ = 0;
  bool used_ = false;
  co::Waker last_{};
};

}  // namespace ballast::backend
