// SPDX-License-Identifier: Apache-2.0
#include "lib/co/semaphore.h"

namespace ballast::co {

void Semaphore::Guard::release() {
  if (semaphore_ != nullptr) {
    std::exchange(semaphore_, nullptr)->release(std::exchange(units_, 0));
  }
}

bool Semaphore::Waiter::await_ready() {
  granted_ = semaphore_.waiters_.empty() && semaphore_.take(units_);
  return granted_ || wait_.over_before_it_began();
}

Semaphore::Guard Semaphore::Waiter::await_resume() {
  const bool was_queued = linked();
  if (was_queued) {
    semaphore_.waiters_.remove(*this);
  }
  const WaitEnd end = wait_.finish();
  BALLAST_ASSERT(granted_ == (end == WaitEnd::happened));
  if (!granted_) {
    if (was_queued) {
      semaphore_.grant();  // those behind it may have waited only because of it
    }
    return Guard{};
  }
  return Guard{&semaphore_, units_};
}

Semaphore::Guard Semaphore::try_acquire(std::size_t units) {
  BALLAST_ASSERT(units <= units_);
  return waiters_.empty() && take(units) ? Guard{this, units} : Guard{};
}

void Semaphore::release(std::size_t units) {
  BALLAST_ASSERT(units <= units_ - available_);
  available_ += units;
  grant();
}

bool Semaphore::take(std::size_t units) {
  if (units > available_) {
    return false;
  }
  available_ -= units;
  return true;
}

void Semaphore::grant() {
  while (Waiter* const first = waiters_.front()) {
    if (first->wait_.pending()) {
      if (!take(first->units_)) {
        return;
      }
      first->granted_ = true;
      first->wait_.happened();
    }
    waiters_.remove(*first);
  }
}

}  // namespace ballast::co
