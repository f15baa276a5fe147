// SPDX-License-Identifier: Apache-2.0
#include "lib/co/gate.h"

namespace ballast::co {

Task<void> Gate::drain() {
  if (count_ > 0) {
    co_await left_.wait();
  }
}

Task<bool> Gate::drain_until(TimePoint deadline) {
  bool drained = count_ == 0;
  if (!drained) {
    drained = co_await left_.wait_until(deadline);
  }
  co_return drained;
}

}  // namespace ballast::co
