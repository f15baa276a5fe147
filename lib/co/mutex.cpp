// SPDX-License-Identifier: Apache-2.0
#include "lib/co/mutex.h"

namespace ballast::co {

bool Mutex::Locker::await_ready() noexcept {
  if (mutex_.locked_) {
    return false;
  }
  mutex_.locked_ = true;
  owns_ = true;
  return true;
}

Mutex::Guard Mutex::Locker::await_resume() noexcept {
  BALLAST_ASSERT(owns_ && mutex_.locked_);
  if (wait_.has_value()) {
    (void)wait_->await_resume();
  }
  return Guard{mutex_};
}

void Mutex::unlock() {
  BALLAST_ASSERT(locked_);
  Locker* const next = waiters_.pop_front();
  if (next == nullptr) {
    locked_ = false;
    return;
  }
  next->owns_ = true;
  (void)next->wait_->waker().wake();
}

}  // namespace ballast::co
