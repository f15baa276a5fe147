// SPDX-License-Identifier: Apache-2.0
#include "lib/co/watermark.h"

#include <limits>

namespace ballast::co {

bool Watermark::Waiter::await_ready() {
  if (number_ <= watermark_.mark_) {
    status_ = IoStatus::ok;
    return true;
  }
  if (watermark_.failed()) {
    status_ = watermark_.failure_;
    return true;
  }
  return wait_.over_before_it_began();
}

IoStatus Watermark::Waiter::await_resume() {
  if (linked()) {
    watermark_.waiters_.remove(*this);
  }
  (void)wait_.finish();
  return status_;
}

void Watermark::advance(std::uint64_t mark, Site site) {
  BALLAST_ASSERT(mark >= mark_);
  BALLAST_ASSERT(!failed());
  mark_ = mark;
  let_through(mark, IoStatus::ok, site);
}

void Watermark::fail(IoStatus status, Site site) {
  BALLAST_ASSERT(!ok(status));
  if (!failed()) {
    failure_ = status;
    let_through(std::numeric_limits<std::uint64_t>::max(), status, site);
  }
}

// A waiter that is cancelled already leaves by itself, with its status.
void Watermark::let_through(std::uint64_t up_to, IoStatus status, Site site) {
  Waiter* next = nullptr;
  for (Waiter* waiter = waiters_.front(); waiter != nullptr; waiter = next) {
    next = waiters_.after(*waiter);
    if (waiter->number_ <= up_to && waiter->wait_.pending()) {
      waiter->status_ = status;
      waiters_.remove(*waiter);
      waiter->wait_.happened(site);
    }
  }
}

}  // namespace ballast::co
