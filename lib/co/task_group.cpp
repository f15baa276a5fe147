// SPDX-License-Identifier: Apache-2.0
#include "lib/co/task_group.h"

namespace ballast::co {

void TaskGroup::spawn(const char* name, Task<void> task, Site site) {
  BALLAST_ASSERT(task.handle_);
  const Task<void>::Handle handle = std::exchange(task.handle_, {});
  Promise<void>& promise = handle.promise();
  BALLAST_ASSERT(promise.executor_ == &executor_);
  promise.group_ = this;
  promise.self_ = handle;
  promise.info_ = executor_.registry().add(name, executor_.now(), site);
  ++live_;
  executor_.start_soon(handle, promise.info_);
}

void TaskGroup::finished() {
  BALLAST_ASSERT(live_ > 0);
  if (--live_ == 0 && joiner_) {
    const Waker joiner = std::exchange(joiner_, Waker{});
    (void)joiner.wake();
  }
}

Task<void> TaskGroup::join(Site site) {
  BALLAST_ASSERT(!joiner_);
  // A loop, because new tasks may be spawned between the last one's end and this wake.
  while (live_ > 0) {
    Wait wait{executor_, "task group", site};
    joiner_ = wait.waker();
    co_await wait;
  }
}

}  // namespace ballast::co
