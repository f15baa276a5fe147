// SPDX-License-Identifier: Apache-2.0
// A FIFO mutex for coroutines of one executor. unlock() gives the lock to the first waiter before
// that waiter runs. So no other coroutine can take the lock in between, and a waiter that runs owns
// it. Driving thread only. It knows whose it is, for whoever reads a core file (landmark.h).
//
//   const co::Mutex::Guard guard = co_await mutex.lock();
#pragma once

#include <optional>
#include <utility>

#include "lib/co/executor.h"
#include "lib/co/intrusive_list.h"
#include "lib/co/landmark.h"

namespace ballast::co {

class Mutex {
 public:
  // `what` names what it is for, and must outlive the mutex (a literal).
  explicit Mutex(Executor& executor, const char* what = "mutex");
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
    // Only a coroutine that suspends says of which task it is.
    bool await_ready() const noexcept { return false; }
    // Returns false if the lock was free: then the coroutine goes on at once.
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      task_ = handle.promise().info();
      if (!mutex_.locked_) {
        mutex_.give_to(*this);
        return false;
      }
      mutex_.waiters_.push_back(*this);
      wait_.emplace(mutex_.executor_, mutex_.what_, site_);
      wait_->await_suspend(handle);
      return true;
    }
    Guard await_resume() noexcept;

   private:
    friend class Mutex;
    friend struct Anatomy;
    Mutex& mutex_;
    Site site_;
    const TaskInfo* task_ = nullptr;
    std::optional<Wait> wait_;
    bool owns_ = false;
  };

  Locker lock(Site site = Site::current()) { return Locker{*this, site}; }
  bool locked() const { return locked_; }
  std::size_t waiting() const { return waiters_.size(); }
  // The task that has locked it. Null: none has, or a coroutine that is of no task.
  const TaskInfo* owner() const { return owner_; }

 private:
  friend struct Anatomy;
  void give_to(Locker& locker);
  void unlock();
  Executor& executor_;
  const char* what_;
  bool locked_ = false;
  const TaskInfo* owner_ = nullptr;
  Site locked_at_{};
  TimePoint locked_since_{};
  IntrusiveList<Locker> waiters_;
  const Landmark landmark_;
};

}  // namespace ballast::co
