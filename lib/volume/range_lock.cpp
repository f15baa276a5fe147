// SPDX-License-Identifier: Apache-2.0
#include "lib/volume/range_lock.h"

namespace ballast::volume {

RangeLock::Hold::Hold(RangeLock& lock, Lba first, BlockCount count, Kind kind)
    : lock_{lock}, first_{first}, end_{first + count}, kind_{kind}, granted_{false} {
  prev_ = lock_.tail_;
  (lock_.tail_ != nullptr ? lock_.tail_->next_ : lock_.head_) = this;
  lock_.tail_ = this;
  ++lock_.holders_;
  lock_.exclusive_ += kind_ == Kind::exclusive ? 1 : 0;
  granted_ = lock_.exclusive_ == 0 || !must_wait(*this);
}

RangeLock::Hold::~Hold() {
  (prev_ != nullptr ? prev_->next_ : lock_.head_) = next_;
  (next_ != nullptr ? next_->prev_ : lock_.tail_) = prev_;
  --lock_.holders_;
  const bool mattered = lock_.exclusive_ > 0;
  lock_.exclusive_ -= kind_ == Kind::exclusive ? 1 : 0;
  if (mattered) {
    lock_.grant_after(next_);
  }
}

bool RangeLock::must_wait(const Hold& hold) {
  for (const Hold* earlier = hold.prev_; earlier != nullptr; earlier = earlier->prev_) {
    if (hold.conflicts_with(*earlier)) {
      return true;
    }
  }
  return false;
}

void RangeLock::grant_after(Hold* from) {
  for (Hold* hold = from; hold != nullptr; hold = hold->next_) {
    if (!hold->granted_ && !must_wait(*hold)) {
      hold->granted_ = true;
      (void)hold->waker_.wake();
    }
  }
}

}  // namespace ballast::volume
