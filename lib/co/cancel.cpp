// SPDX-License-Identifier: Apache-2.0
#include "lib/co/cancel.h"

namespace ballast::co {

void CancelLink::arm(CancelToken token, Waker waker, std::int64_t value, Site site) {
  BALLAST_ASSERT(!linked());
  if (!token) {
    return;
  }
  if (token.requested()) {
    if (waker.pending()) {
      (void)waker.wake(value, site);
    }
    return;
  }
  source_ = token.source_;
  waker_ = waker;
  value_ = value;
  site_ = site;
  source_->links_.push_back(*this);
}

void CancelLink::disarm() {
  if (linked()) {
    source_->links_.remove(*this);
  }
}

void CancelSource::request() {
  requested_ = true;
  for (CancelLink* link = links_.pop_front(); link != nullptr; link = links_.pop_front()) {
    if (link->waker_.pending()) {
      (void)link->waker_.wake(link->value_, link->site_);
    }
  }
}

}  // namespace ballast::co
