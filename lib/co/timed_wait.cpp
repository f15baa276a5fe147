// SPDX-License-Identifier: Apache-2.0
#include "lib/co/timed_wait.h"

namespace ballast::co {

bool TimedWait::over_before_it_began() {
  if (token_.requested()) {
    end_ = WaitEnd::cancelled;
    return true;
  }
  if (deadline_ <= executor_.now()) {
    end_ = WaitEnd::timed_out;
    return true;
  }
  return false;
}

void TimedWait::begin() {
  BALLAST_ASSERT(!wait_.has_value());
  wait_.emplace(executor_, what_, site_);
  if (deadline_ != Timers::never) {
    timer_.arm_deadline(deadline_, wait_->waker(), static_cast<std::int64_t>(WaitEnd::timed_out));
  }
  link_.arm(token_, wait_->waker(), static_cast<std::int64_t>(WaitEnd::cancelled));
}

WaitEnd TimedWait::finish() {
  timer_.disarm();
  link_.disarm();
  if (wait_.has_value()) {
    end_ = static_cast<WaitEnd>(wait_->await_resume());
    wait_.reset();
  }
  return end_;
}

}  // namespace ballast::co
