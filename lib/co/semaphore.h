// SPDX-License-Identifier: Apache-2.0
// A first-in first-out counting semaphore: a fixed number of units (slots, bytes) that coroutines
// of one executor share.
//
//   const co::Semaphore::Guard slots = co_await semaphore.acquire(4);
//
// Units go to the first waiter before that waiter runs. Small requests do not overtake a large one
// at the head, and neither does try_acquire(), so no waiter starves. acquire_until() gives up at a
// deadline or when cancelled, and then returns an empty guard. Destroying a semaphore with units
// out or with waiters is a bug (asserted). Driving thread only; allocates nothing.
#pragma once

#include <coroutine>
#include <cstddef>
#include <utility>

#include "lib/co/intrusive_list.h"
#include "lib/co/timed_wait.h"

namespace ballast::co {

class Semaphore {
 public:
  Semaphore(Executor& executor, std::size_t units, const char* what = "semaphore")
      : executor_{executor}, what_{what}, units_{units}, available_{units} {}
  ~Semaphore() { BALLAST_ASSERT(available_ == units_); }
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  // Holds units and gives them back. Empty after a failed try, a move, dismiss() or release().
  class [[nodiscard]] Guard {
   public:
    Guard() = default;
    Guard(Guard&& other) noexcept
        : semaphore_{std::exchange(other.semaphore_, nullptr)},
          units_{std::exchange(other.units_, 0)} {}
    Guard& operator=(Guard&& other) noexcept {
      if (this != &other) {
        release();
        semaphore_ = std::exchange(other.semaphore_, nullptr);
        units_ = std::exchange(other.units_, 0);
      }
      return *this;
    }
    ~Guard() { release(); }
    explicit operator bool() const { return semaphore_ != nullptr; }
    std::size_t units() const { return units_; }
    void release();
    // The caller now owes Semaphore::release(units).
    std::size_t dismiss() {
      semaphore_ = nullptr;
      return std::exchange(units_, 0);
    }

   private:
    friend class Semaphore;
    Guard(Semaphore* semaphore, std::size_t units) : semaphore_{semaphore}, units_{units} {}
    Semaphore* semaphore_ = nullptr;
    std::size_t units_ = 0;
  };

  class Waiter : public ListNode<Waiter> {
   public:
    Waiter(Semaphore& semaphore, std::size_t units, TimePoint deadline, CancelToken token,
           Site site)
        : semaphore_{semaphore},
          units_{units},
          wait_{semaphore.executor_, semaphore.what_, deadline, token, site} {}
    bool await_ready();
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
      semaphore_.waiters_.push_back(*this);
      wait_.suspend(handle);
    }
    Guard await_resume();

   private:
    friend class Semaphore;
    Semaphore& semaphore_;
    std::size_t units_;
    bool granted_ = false;
    TimedWait wait_;
  };

  Executor& executor() { return executor_; }
  std::size_t units() const { return units_; }
  std::size_t available() const { return available_; }
  std::size_t waiting() const { return waiters_.size(); }

  // Asking for more than units() is a bug (asserted), because there will never be so many.
  Waiter acquire(std::size_t units = 1, Site site = Site::current()) {
    return acquire_until(units, Timers::never, CancelToken{}, site);
  }
  Waiter acquire_until(std::size_t units, TimePoint deadline, CancelToken token = {},
                       Site site = Site::current()) {
    BALLAST_ASSERT(units <= units_);
    return Waiter{*this, units, deadline, token, site};
  }
  // Empty if it would have to wait.
  Guard try_acquire(std::size_t units = 1);
  // Gives back units that a guard dismissed.
  void release(std::size_t units = 1);

 private:
  bool take(std::size_t units);
  void grant();
  Executor& executor_;
  const char* what_;
  std::size_t units_;
  std::size_t available_;
  IntrusiveList<Waiter> waiters_;
};

}  // namespace ballast::co
