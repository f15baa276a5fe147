// SPDX-License-Identifier: Apache-2.0
// HelperThread: runs calls that block, off the executor.
//
// For what has no asynchronous form: BLKDISCARD, BLKZEROOUT, open, fstat, ftruncate. One thread a
// LUN, started by the first call, all signals blocked; calls run one after the other in the order
// of coming. The result comes back through the executor's mailbox.
//
// A call that has to wait for others waits in its caller's frame, so there is no bound here of its
// own: callers have theirs (the volume's queue_depth), and a second, lower one could only refuse
// what those let through.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>

#include "lib/co/cancel.h"
#include "lib/co/executor.h"
#include "lib/co/intrusive_list.h"
#include "lib/co/task.h"

namespace ballast::io {

class HelperThread {
 public:
  // `name` as the executor's, for the thread's name. `executor` outlives the helper.
  explicit HelperThread(co::Executor& executor) : executor_{executor} {}
  // Asserts that no call runs; ends the thread. Driving thread, or after the loop has stopped.
  ~HelperThread();
  HelperThread(const HelperThread&) = delete;
  HelperThread& operator=(const HelperThread&) = delete;

  co::Executor& executor() { return executor_; }

  // Runs `work` on the thread and returns what it returned: by custom 0 or more, or a negative
  // errno. Nothing was run: -EBUSY, at once, if the thread cannot be made; -ECANCELED, if `cancel`
  // asked while the call waited for others. One that runs cannot be ended: what `work` refers to
  // lives until the task has ended. Driving thread. `work` must not throw, and must not touch the
  // executor or anything it guards.
  //
  //   std::function<int()> work = [fd, range]() { ... };   // a named local, then moved
  //   const int result = co_await helper.run(std::move(work));
  co::Task<int> run(std::function<int()> work, co::CancelToken cancel = {});

  // Calls running or queued. Driving thread.
  std::size_t pending() const { return pending_; }

 private:
  class Job;
  bool start();
  void serve();
  bool withdraw(Job& job);
  static void* entry(void* self);

  co::Executor& executor_;
  std::size_t pending_ = 0;  // driving thread only
  bool started_ = false;
  pthread_t thread_{};
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  co::IntrusiveList<Job> waiting_;  // those that have not begun
  bool stopping_ = false;
};

}  // namespace ballast::io
