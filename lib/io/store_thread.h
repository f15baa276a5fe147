// SPDX-License-Identifier: Apache-2.0
// StoreThread: the one thread of a LUN that hands operations to the kernel and may sleep there.
//
// io_uring_submit(2) can sleep for as long as a store hangs. A direct write to a file on ext4 or
// XFS waits for a tag of the disk's queue (iomap sets no REQ_NOWAIT), for the journal, or for a
// frozen file system. Operations that the kernel cannot begin at once (fsync, fallocate, buffered
// and allocating writes) go to workers (io-wq) of the submitting thread, and this thread's exit
// waits for them. So threads that answer commands, keep deadlines or are joined submit only
// operations that cannot sleep. All others go through the store thread, into a ring of its own. The
// store thread departs with its LUN: it ends when the last operation has ended, and no thread waits
// for it before.
//
// Threads. The driving thread calls push(), ring_bell(), take_back() and forget(). It also owns the
// completion queue of ring(); the store thread owns the submission queue.
#pragma once

#include <liburing.h>
#include <pthread.h>

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "lib/base/result.h"
#include "lib/co/executor.h"

namespace ballast::io {

struct Op;

class StoreThread {
 public:
  // The most operations in one system call. Those that wait behind them can still be taken back.
  static constexpr unsigned most_at_once = 8;

  // Makes the ring and the thread. The thread is named "store/<executor's name>", cut to 15
  // characters, and blocks all signals. `completions`: entries of the completion queue. The error
  // says which limit to raise.
  static Result<std::unique_ptr<StoreThread>> open(co::Executor& executor, unsigned completions);
  // Ends the thread, which first submits what is still queued. By then only cancel requests may be
  // left, which have no waiter; ~Uring asserts that.
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  // Queues `op`, first come, first served. The fields of `op`, and the memory that its list points
  // to, must not change until it completes or take_back() returns it.
  void push(Op* op);
  // Wakes the thread if anything was pushed since the last call.
  void ring_bell();
  // Takes `op` out of the queue and returns true, unless the thread has begun to submit it. After
  // true, `op` is the caller's again, and the kernel will never get it.
  bool take_back(Op* op);
  // Call it when an operation of this thread has completed, before you reuse its fields.
  void forget();

  io_uring& ring() { return ring_; }

 private:
  explicit StoreThread(co::Executor& executor) : executor_{executor} {}
  Result<void> start(unsigned completions);
  void serve();
  void take_batch();
  bool prepare(const Op& op);
  void submit();
  static void* entry(void* self);

  co::Executor& executor_;
  io_uring ring_{};
  bool ring_open_ = false;
  bool started_ = false;
  pthread_t thread_{};
  bool bell_due_ = false;        // only the driving thread uses it
  std::vector<iovec> segments_;  // the store thread's: tables of what is being submitted
  std::size_t segments_used_ = 0;
  std::mutex mutex_;  // guards what follows, and the fields of an operation that is handed over
  std::condition_variable changed_;
  Op* first_ = nullptr;
  Op* last_ = nullptr;
  bool asleep_ = false;
  bool stopping_ = false;
};

}  // namespace ballast::io
