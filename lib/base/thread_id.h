// SPDX-License-Identifier: Apache-2.0
// The number of the calling thread, as /proc/self/task and gdb show it. Only the first call of a
// thread is a system call.
#pragma once

#include <sys/types.h>
#include <unistd.h>

namespace ballast {

inline pid_t this_thread_id() noexcept {
  thread_local pid_t id = 0;
  if (id == 0) {
    id = ::gettid();
  }
  return id;
}

}  // namespace ballast
