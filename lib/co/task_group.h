// SPDX-License-Identifier: Apache-2.0
// TaskGroup: tasks that run side by side under a parent that outlives them.
//
// spawn() queues the task; it never runs inline. join() ends when the last task has ended. Nothing
// touches the group after the end of its last task has been counted. The destructor asserts that
// all tasks ended. Driving thread only.
#pragma once

#include <cstddef>

#include "lib/co/task.h"

namespace ballast::co {

class TaskGroup {
 public:
  explicit TaskGroup(Executor& executor) : executor_{executor} {}
  ~TaskGroup() { BALLAST_ASSERT(live_ == 0); }
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  Executor& executor() { return executor_; }
  std::size_t live() const { return live_; }

  // `name` is a literal. The registry shows it while the task lives.
  void spawn(const char* name, Task<void> task, Site site = Site::current());

  // Only one coroutine may join at a time.
  Task<void> join(Site site = Site::current());

 private:
  friend class Executor;
  void finished();

  Executor& executor_;
  std::size_t live_ = 0;
  Waker joiner_{};
};

}  // namespace ballast::co
