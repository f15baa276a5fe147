// SPDX-License-Identifier: Apache-2.0
// HelperThread: runs calls that block, off the executor.
//
// It is for calls that have no asynchronous form: BLKDISCARD, BLKZEROOUT, open, fstat, ftruncate.
// Each LUN has one such thread, with all signals blocked; the first call starts it. It runs the
// calls one after the other, in the order in which they came. The result comes back through the
// executor's mailbox.
//
// A call that has to wait for others waits in its caller's frame, so there is no bound here.
// Callers have bounds of their own (the volume's queue_depth); a second, lower bound could only
// refuse calls that those let through.
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
  // The thread is named "helper/<executor's name>", cut to 15 characters. `executor` outlives the
  // helper.
  explicit HelperThread(co::Executor& executor) : executor_{executor} {}
  // Asserts that no call runs; ends the thread. Driving thread, or after the loop has stopped.
  ~HelperThread();
  HelperThread(const HelperThread&) = delete;
  HelperThread& operator=(const HelperThread&) = delete;

  co::Executor& executor() { return executor_; }

  // Runs `work` on the thread and returns its result: by custom 0 or more, or a negative errno. In
  // two cases `work` does not run: -EBUSY, at once, if the thread cannot be made; -ECANCELED if
  // `cancel` was requested while the call waited for others. A call that runs cannot be ended, so
  // everything that `work` refers to lives until the task has ended. Driving thread. `work` must
  // not throw anything but std::bad_alloc, which gives -ENOMEM, and must not touch the executor or
  // anything that it guards.
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
  co::IntrusiveList<Job> waiting_;  // calls that have not begun
  bool stopping_ = false;
};

}  // namespace ballast::io
