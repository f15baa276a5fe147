// SPDX-License-Identifier: Apache-2.0
#include "lib/co/cancel.h"

namespace ballast::co {

bool CancelHook::hook(CancelToken token) {
  BALLAST_ASSERT(!linked());
  if (!token) {
    return false;
  }
  if (token.requested()) {
    return true;
  }
  source_ = token.source_;
  source_->hooks_.push_back(*this);
  return false;
}

void CancelHook::unhook() {
  if (linked()) {
    source_->hooks_.remove(*this);
  }
}

void CancelLink::arm(CancelToken token, Waker waker, std::int64_t value, Site site) {
  waker_ = waker;
  value_ = value;
  site_ = site;
  const bool requested = hook(token);
  if (requested) {
    cancel_requested();
  }
}

void CancelLink::cancel_requested() {
  if (waker_.pending()) {
    (void)waker_.wake(value_, site_);
  }
}

void CancelSource::request() {
  requested_ = true;
  for (CancelHook* hook = hooks_.pop_front(); hook != nullptr; hook = hooks_.pop_front()) {
    hook->cancel_requested();
  }
}

}  // namespace ballast::co
