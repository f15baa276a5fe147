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

void Mutex::Locker::enlist() noexcept {
  waited_ = true;
  *mutex_.last_ = this;
  mutex_.last_ = &next_;
}

Mutex::Guard Mutex::Locker::await_resume() noexcept {
  BALLAST_ASSERT(owns_ && mutex_.locked_);
  if (waited_) {
    (void)wait_.await_resume();
  }
  return Guard{mutex_};
}

void Mutex::unlock() {
  BALLAST_ASSERT(locked_);
  Locker* const next = first_;
  if (next == nullptr) {
    locked_ = false;
    return;
  }
  first_ = next->next_;
  if (first_ == nullptr) {
    last_ = &first_;
  }
  next->owns_ = true;
  (void)next->wait_.waker().wake();
}

}  // namespace ballast::co
