// SPDX-License-Identifier: Apache-2.0
// RbdSizeWatch: says in the log that somebody has changed the size of an open image.
//
// librbd calls back when the image's header has changed, on a thread of its own; this only posts to
// the executor. Asking for the size may wait for the cluster, so the helper thread does it.
//
// Driving thread only, but for that call.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "lib/backend/rbd_connection.h"
#include "lib/base/units.h"
#include "lib/co/executor.h"
#include "lib/co/task_group.h"
#include "lib/io/helper_thread.h"

namespace ballast::backend {

class RbdSizeWatch {
 public:
  // `lun_size` says how large the LUN is. All of this outlives the watch.
  RbdSizeWatch(co::Executor& executor, io::HelperThread& helper, RbdConnection& connection,
               Bytes image_size, const Bytes& lun_size);
  RbdSizeWatch(const RbdSizeWatch&) = delete;
  RbdSizeWatch& operator=(const RbdSizeWatch&) = delete;

  co::Executor& executor() { return executor_; }
  // Begins to watch, unless that was done. The first operation does this, because a backend that
  // was never used may be destroyed unclosed.
  void begin() {
    if (!begun_) {
      watch();
    }
  }
  // Ends when librbd does not call back any more and no question is under way. Call it once, before
  // the connection is closed.
  co::Task<void> close();

 private:
  void watch();
  static void changed(void* self);
  static void look_soon(void* self, std::int64_t);
  co::Task<void> look();
  void say(Bytes size);

  co::Executor& executor_;
  io::HelperThread& helper_;
  RbdConnection& connection_;
  const Bytes& lun_size_;
  Bytes known_;  // the image's size
  std::uint64_t handle_ = 0;
  bool begun_ = false;
  bool watches_ = false;
  std::atomic<bool> told_{false};  // look_soon() is on its way
  co::TaskGroup looks_;
};

}  // namespace ballast::backend
