// SPDX-License-Identifier: Apache-2.0
#include "lib/co/event.h"

namespace ballast::co {

void Event::set(Site site) {
  set_ = true;
  for (Waiter* waiter = waiters_.pop_front(); waiter != nullptr; waiter = waiters_.pop_front()) {
    if (waiter->wait_.pending()) {
      waiter->wait_.happened(site);
    }
  }
}

}  // namespace ballast::co
