// SPDX-License-Identifier: Apache-2.0
// One operation as the coroutine that waits for it sees it. Private to the Uring.
#pragma once

#include "lib/io/uring.h"

namespace ballast::io {

// A local of the coroutine. The operation's slot is the kernel's and is given back by its last
// completion; this only waits for the result.
class Uring::Running {
 public:
  Running(Uring& ring, const OpRequest& request, SgView view, const char* what, OpTicket* ticket)
      : ring_{ring},
        request_{request},
        view_{view},
        what_{what},
        ticket_{ticket},
        wait_{ring.executor_, what} {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    wait_.await_suspend(handle);
    ring_.start(*this);
  }
  int await_resume() noexcept { return static_cast<int>(wait_.await_resume()); }

 private:
  friend class Uring;
  Uring& ring_;
  OpRequest request_;
  SgView view_;
  const char* what_;
  OpTicket* ticket_;
  co::Wait wait_;
  Running* next_ = nullptr;
};

}  // namespace ballast::io
