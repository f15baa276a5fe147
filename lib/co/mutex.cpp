// SPDX-License-Identifier: Apache-2.0
#include "lib/co/mutex.h"

#include "lib/co/anatomy.h"

namespace ballast::co {

Mutex::Mutex(Executor& executor, const char* what)
    : executor_{executor}, what_{what}, landmark_{executor, Anatomy::mutex, this} {}

Mutex::Guard Mutex::Locker::await_resume() noexcept {
  BALLAST_ASSERT(owns_ && mutex_.locked_);
  if (wait_.has_value()) {
    (void)wait_->await_resume();
  }
  return Guard{mutex_};
}

void Mutex::give_to(Locker& locker) {
  locked_ = true;
  owner_ = locker.task_;
  locked_at_ = locker.site_;
  locked_since_ = executor_.now();
  locker.owns_ = true;
}

void Mutex::unlock() {
  BALLAST_ASSERT(locked_);
  Locker* const next = waiters_.pop_front();
  if (next == nullptr) {
    locked_ = false;
    owner_ = nullptr;
    return;
  }
  give_to(*next);
  (void)next->wait_->waker().wake();
}

}  // namespace ballast::co
