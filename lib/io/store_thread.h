// SPDX-License-Identifier: Apache-2.0
// StoreThread: the one thread of a LUN that hands operations to the kernel and may sleep there.
//
// io_uring_submit(2) can sleep for as long as a store hangs: a direct write to a file on ext4 or
// XFS waits for a tag of the disk's queue (iomap sets no REQ_NOWAIT), for the journal, for a frozen
// file system. And what the kernel cannot begin at once (fsync, fallocate, buffered and allocating
// writes) it gives to workers (io-wq) of the submitting thread, whose exit waits for them. So the
// threads that answer commands, keep deadlines or are joined submit only what cannot sleep; the
// rest goes through here, into a ring of its own. The thread departs with its LUN: it ends when the
// last operation has ended, and nobody waits for it before.
//
// Threads. push(), ring_bell(), take_back() and forget(): the driving thread. ring(): its
// completion queue is the driving thread's, its submission queue is this thread's own.
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
  // Operations that one system call takes along. What waits behind them can still be taken back.
  static constexpr unsigned most_at_once = 8;

  // Makes ring and thread, which is named "store/<executor's name>" cut to 15 characters, with all
  // signals blocked. `completions`: entries of the completion queue. The error says what to raise.
  static Result<std::unique_ptr<StoreThread>> open(co::Executor& executor, unsigned completions);
  // Asserts that nothing waits to be submitted but what nobody waits for; ends the thread.
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  // Queues `op`, first come, first served. Its fields and what its list points to stay as they are
  // until its completion or take_back().
  void push(Op* op);
  // Wakes the thread if anything was pushed since.
  void ring_bell();
  // Whether `op` is the caller's again: the kernel has not been given it, and will not be.
  bool take_back(Op* op);
  // `op` has completed: this thread is done with its fields, too.
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
  bool bell_due_ = false;        // the driving thread's
  std::vector<iovec> segments_;  // this thread's: tables of what is being submitted
  std::size_t segments_used_ = 0;
  std::mutex mutex_;  // guards what follows, and the fields of an operation that is handed over
  std::condition_variable changed_;
  Op* first_ = nullptr;
  Op* last_ = nullptr;
  bool asleep_ = false;
  bool stopping_ = false;
};

}  // namespace ballast::io
