// SPDX-License-Identifier: Apache-2.0
// RingOperation: one operation of a backend that runs on a ring. While it lives, the operation is
// inside the backend's gate, and the ring cancels `ticket` when cancellation is requested. A local
// variable of the operation. Driving thread only.
#pragma once

#include "lib/co/cancel.h"
#include "lib/co/gate.h"
#include "lib/io/uring.h"

namespace ballast::backend {

class RingOperation final : private co::CancelHook {
 public:
  RingOperation(co::Gate& gate, io::Uring& uring, co::CancelToken cancel)
      : uring_{uring}, inside_{gate} {
    const bool asked = hook(cancel);
    if (asked) {
      uring_.cancel(ticket);
    }
  }
  RingOperation(const RingOperation&) = delete;
  RingOperation& operator=(const RingOperation&) = delete;

  io::OpTicket ticket;

 private:
  void cancel_requested() override { uring_.cancel(ticket); }
  io::Uring& uring_;
  co::Gate::Guard inside_;
};

}  // namespace ballast::backend
