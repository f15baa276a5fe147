// SPDX-License-Identifier: Apache-2.0
// RbdCall: one asynchronous call of librbd. A local of the coroutine that awaits it.
//
//   RbdCall call{executor, library, under_way};
//   std::int64_t result = call.begin([&](rbd_completion_t completion) { return ...aio...; });
//   if (result == 0) {
//     result = co_await call.wait;  // 0 or more, or a negative errno
//   }
//
// Driving thread, except for the end of the call: librbd ends it on a thread of its own, which
// posts the result to the executor and does nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/backend/rbd_library.h"
#include "lib/co/executor.h"
#include "lib/co/wait.h"

namespace ballast::backend {

class RbdCall {
 public:
  RbdCall(co::Executor& executor, const RbdLibrary& library, std::size_t& under_way)
      : wait{executor, "librbd"}, library_{library}, under_way_{under_way}, waker_{wait.waker()} {
    made_ = library_.rbd_aio_create_completion(this, &RbdCall::ended, &completion_);
  }
  ~RbdCall() {
    under_way_ -= begun_ ? 1 : 0;
    if (made_ >= 0 && !begun_) {
      library_.rbd_aio_release(completion_);
    }
  }
  RbdCall(const RbdCall&) = delete;
  RbdCall& operator=(const RbdCall&) = delete;

  // Calls start(completion), which gives librbd the operation. Returns 0 if it is under way; then
  // the caller awaits `wait` for its result.
  template <class Start>
  int begin(Start start) {
    if (made_ < 0) {
      return made_;
    }
    const int refused = start(completion_);
    if (refused < 0) {
      return refused;
    }
    begun_ = true;
    ++under_way_;
    return 0;
  }

  co::Wait wait;

 private:
  // On a thread of librbd.
  static void ended(rbd_completion_t completion, void* self) {
    const RbdCall& call = *static_cast<const RbdCall*>(self);
    const std::int64_t result = call.library_.rbd_aio_get_return_value(completion);
    call.library_.rbd_aio_release(completion);
    // The coroutine may be gone as soon as it is woken, and with it this object.
    const co::Waker waker = call.waker_;
    waker.post(result);
  }

  const RbdLibrary& library_;
  std::size_t& under_way_;
  const co::Waker waker_;
  rbd_completion_t completion_ = nullptr;
  int made_ = 0;
  bool begun_ = false;
};

}  // namespace ballast::backend
