// SPDX-License-Identifier: Apache-2.0
// A FIFO mutex for coroutines of one executor. unlock() gives the lock to the first waiter before
// that waiter runs. So no other coroutine can take the lock in between, and a waiter that runs owns
// it. Driving thread only.
//
//   const co::Mutex::Guard guard = co_await mutex.lock();
#pragma once

#include <optional>
#include <utility>

#include "lib/co/executor.h"
#include "lib/co/intrusive_list.h"

namespace ballast::co {

class Mutex {
 public:
  explicit Mutex(Executor& executor) : executor_{executor} {}
  ~Mutex() { BALLAST_ASSERT(!locked_); }
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  class [[nodiscard]] Guard {
   public:
    explicit Guard(Mutex& mutex) : mutex_{&mutex} {}
    Guard(Guard&& other) noexcept : mutex_{std::exchange(other.mutex_, nullptr)} {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (mutex_ != nullptr) {
        mutex_->unlock();
      }
    }

   private:
    Mutex* mutex_;
  };

  class Locker : public ListNode<Locker> {
   public:
    Locker(Mutex& mutex, Site site) : mutex_{mutex}, site_{site} {}
    bool await_ready() noexcept;
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) {
      mutex_.waiters_.push_back(*this);
      wait_.emplace(mutex_.executor_, "mutex", site_);
      wait_->await_suspend(handle);
    }
    Guard await_resume() noexcept;

   private:
    friend class Mutex;
    Mutex& mutex_;
    Site site_;
    std::optional<Wait> wait_;
    bool owns_ = false;
  };

  Locker lock(Site site = Site::current()) { return Locker{*this, site}; }
  bool locked() const { return locked_; }
  std::size_t waiting() const { return waiters_.size(); }

 private:
  void unlock();
  Executor& executor_;
  bool locked_ = false;
  IntrusiveList<Locker> waiters_;
};

}  // namespace ballast::co
