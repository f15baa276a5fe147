// SPDX-License-Identifier: Apache-2.0
// Uring: the io_uring of one LUN.
//
// Operations are tasks on the LUN's executor. Each returns the kernel's result: a count of bytes or
// 0, or a negative errno. Starting an operation only queues it. When the queue is submit_batch
// long, one io_uring_submit hands all of it to the kernel; tick_end() hands over the rest. reap()
// turns completions into wakes; the Loop calls it.
//
// Ownership and lifetime. An operation's state lives in a slab of the Uring, not in the coroutine
// that waits for it. Its slot is given back at the operation's LAST completion (a completion with
// IORING_CQE_F_MORE is not the last). The caller keeps the data buffer until the operation's task
// has ended, cancelled or not. Then the kernel never writes into memory that has another owner,
// whatever becomes of the waiter. Segment tables, the ticket and file descriptors live as long, and
// a registered file stays registered as long.
//
// Bounds. The kernel knows at most `max_operations` operations at once. The completion queue is at
// least as long, so it cannot overflow. Further operations wait for a slot, first come, first
// served. A submission that the kernel refuses for now (EAGAIN, EBUSY, EINTR) stays queued and goes
// out with a later tick; submission_stalled() then asks the Loop for a short sleep.
//
// Lanes. Submitting can sleep in the kernel for as long as a store hangs, so each operation has a
// Lane that says how it reaches the kernel. Where the ring has store threads
// (UringOptions::store_threads), sync and fallocate always go through that of their file. Callers
// choose that lane for reads and writes that could sleep. Files that hang independently of each
// other (a store, and the log in front of it) have a thread each.
//
// Threads. Driving thread only. The two threads that take turns on an executor both submit, so
// IORING_SETUP_SINGLE_ISSUER and DEFER_TASKRUN cannot be used. Most operations outlive the thread
// that submitted them. The exceptions run on worker threads that the kernel made for that thread:
// without a store thread they end with ECANCELED or EINTR when it exits. An operation that ended
// so, although no caller had asked for that, is started again (a few times).
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/executor.h"
#include "lib/co/landmark.h"
#include "lib/co/task.h"
#include "lib/io/sg.h"
#include "lib/io/store_thread.h"

namespace ballast::io {

// A file as io_uring takes it: a descriptor, and its place in the ring's table of registered files
// (register_file). A registered file saves the kernel a lookup and two atomics per operation.
struct UringFile {
  int fd = -1;
  int slot = -1;                  // -1: not registered
  std::uint8_t store_thread = 0;  // below UringOptions::store_threads, if there are any
};

struct UringOptions {
  unsigned entries = 128;            // submission queue; rounded up to a power of two
  std::size_t max_operations = 512;  // in the kernel at once
  unsigned file_slots = 8;           // registered files; 0: none
  std::uint8_t store_threads = 0;    // how many, for the lane `store`; at most most_store_threads
};

// How an operation gets to the kernel.
enum class Lane : std::uint8_t {
  here,     // from the driving thread: for files on which submission cannot sleep
  at_once,  // the same with RWF_NOWAIT: the kernel refuses to begin an operation that would wait
            // (-EAGAIN, or -EOPNOTSUPP if the file has no NOWAIT); a Transfer then goes on in
            // `store`
  store,    // through the file's store thread; `here` if there is none
};

// Names a running operation so that it can be cancelled. A local of the coroutine that waits for
// the operation; it outlives the operation. One operation at a time.
class OpTicket {
 public:
  OpTicket() = default;
  OpTicket(const OpTicket&) = delete;
  OpTicket& operator=(const OpTicket&) = delete;
  bool cancel_requested() const { return cancel_requested_; }

 private:
  friend class Uring;
  struct Op* op_ = nullptr;  // the part of the operation that runs now
  bool cancel_requested_ = false;
};

enum class Sync : bool { data, all };  // fdatasync, fsync

struct UringStats {
  std::uint64_t submits = 0;     // io_uring_submit calls
  std::uint64_t operations = 0;  // handed to the kernel
  std::uint64_t completions = 0;
  std::uint64_t refused_submits = 0;  // EAGAIN, EBUSY, EINTR
  std::uint64_t slot_waits = 0;       // operations that found max_operations reached
  std::size_t in_flight_peak = 0;
};

class Running;
class Transfer;
struct OpRequest;

class Uring final : public co::TickHook {
 public:
  // When so many operations are queued, they do not wait for the end of the tick: the storage works
  // on them while the executor starts the next.
  static constexpr std::size_t submit_batch = 8;
  static constexpr std::size_t most_store_threads = 2;

  // Makes the ring and registers it as a tick hook of `executor`, which outlives the Uring. Where
  // io_uring is switched off (kernel.io_uring_disabled, seccomp), the error says what the operator
  // has to change.
  static Result<std::unique_ptr<Uring>> open(co::Executor& executor, UringOptions options = {});
  // Asserts that no operation runs. Only cancel requests may be left.
  ~Uring() override;
  Uring(const Uring&) = delete;
  Uring& operator=(const Uring&) = delete;

  co::Executor& executor() { return executor_; }

  // Moves to.size() bytes between `file` and memory, at most INT_MAX. Lists may have any length and
  // alignment, but O_DIRECT may refuse an alignment with EINVAL. Short transfers are continued
  // until all is moved. Returns
  //   the size of the list     all was moved
  //   less                     read: the file ends there; write: never
  //   -ECANCELED               cancelled, and certainly nothing was moved
  //   another negative errno   some may have been moved; -EINTR: cancelled after some was moved
  // `rw_flags` as pwritev2(2): RWF_DSYNC makes a write durable by itself. These use the lane
  // `here`, or `lane` where they have it. uring_transfer.h does the same without a task of its own.
  co::Task<int> read(UringFile file, Bytes offset, SgView to, OpTicket* ticket = nullptr);
  co::Task<int> write(UringFile file, Bytes offset, SgView from, int rw_flags = 0,
                      OpTicket* ticket = nullptr);

  // The same for contiguous memory.
  co::Task<int> read(UringFile file, Bytes offset, std::span<std::byte> to,
                     OpTicket* ticket = nullptr, Lane lane = Lane::here);
  co::Task<int> write(UringFile file, Bytes offset, std::span<const std::byte> from,
                      int rw_flags = 0, OpTicket* ticket = nullptr, Lane lane = Lane::here);

  // 0 or a negative errno.
  co::Task<int> sync(UringFile file, Sync what, OpTicket* ticket = nullptr);
  // `mode` as fallocate(2): FALLOC_FL_PUNCH_HOLE and so on.
  co::Task<int> fallocate(UringFile file, int mode, Bytes offset, Bytes length,
                          OpTicket* ticket = nullptr);
  // Waits once. Returns the events that came (POLLIN, ...) or a negative errno.
  co::Task<int> poll(int fd, unsigned events, OpTicket* ticket = nullptr);

  // Requests that the ticket's operation ends early. The operation's task still ends only when the
  // kernel has let go of it: with -ECANCELED, or with its ordinary result if the request came too
  // late. An operation that the kernel has not been given yet ends at once.
  void cancel(OpTicket& ticket);

  // Puts `fd` in a free place of the file table. If the table is full, or the kernel refuses, the
  // result is not registered (slot -1) and still usable. Never an error.
  UringFile register_file(int fd, std::uint8_t store_thread = 0);
  void unregister_file(UringFile file);

  // Wakes the waiters of all completed operations, and returns how many ended. No system call.
  std::size_t reap();
  void tick_end() override;

  // Operations that the kernel or the store thread has, and those that still wait to be handed
  // over, because tick_end() has not run yet or the kernel refused them.
  std::size_t in_flight() const { return in_flight_; }
  std::size_t queued() const { return queued_count_ + waiting_count_; }
  bool busy() const { return in_flight_ + queued_count_ + waiting_count_ > 0; }
  // The kernel refused the last submission: try again soon, even if nothing completes.
  bool submission_stalled() const { return stalled_; }

  // Waking a sleeper. The rings' descriptors are readable (poll) while completions wait. While
  // set_notify(true) holds, each completion also writes to the executor's mailbox().fd(). Switching
  // this on or off needs no system call. After set_notify(true), look at completions_waiting()
  // before you sleep: operations that had completed by then write nothing.
  int fd() const { return ring_.ring_fd; }
  int store_fd(std::size_t thread) const {
    return thread < stores_.size() ? stores_[thread]->ring().ring_fd : -1;
  }
  void set_notify(bool on);
  bool completions_waiting() const;
  // For a thread that polls. Returns how many completions wait. If the kernel keeps some back until
  // this thread enters it (IORING_SETUP_COOP_TASKRUN), it asks for them, with one system call.
  std::size_t fetch_completions();

  const UringStats& stats() const { return stats_; }

 private:
  friend class Running;
  friend struct Anatomy;
  static constexpr std::size_t ops_per_slab = 64;
  explicit Uring(co::Executor& executor, UringOptions options);
  Result<void> setup();

  co::Task<int> move(Transfer transfer);
  co::Task<int> run(OpRequest request, const char* what, OpTicket* ticket);
  StoreThread* store_thread_of(const OpRequest& request) const;
  void start(Running& running);
  void launch(Running& running);
  bool add_slab();
  Op* acquire();
  void release(Op* op);
  std::size_t reap(io_uring& ring);
  void end_before_submission(Op* op);
  void enqueue(Op* op);
  void unqueue(Op* op);
  bool prepare(Op* op);
  void submit_queued();
  void submit();
  void complete(const io_uring_cqe& cqe);
  void abandon_waiting(const OpTicket& ticket);

  co::Executor& executor_;
  UringOptions options_;
  io_uring ring_{};
  std::vector<std::unique_ptr<StoreThread>> stores_;
  bool ring_open_ = false;
  bool hooked_ = false;
  bool stalled_ = false;
  std::vector<std::unique_ptr<Op[]>> slabs_;
  Op* free_ = nullptr;
  std::size_t slots_in_use_ = 0;
  // Queued, in order; the kernel does not have them yet.
  Op* queue_head_ = nullptr;
  Op* queue_tail_ = nullptr;
  std::size_t queued_count_ = 0;
  // Waiting for a slot, in order.
  Running* waiting_head_ = nullptr;
  Running* waiting_tail_ = nullptr;
  std::size_t waiting_count_ = 0;
  std::size_t in_flight_ = 0;
  // Segment tables of the operations being submitted. The kernel has read them when io_uring_submit
  // returns (IORING_FEAT_SUBMIT_STABLE).
  std::vector<iovec> iovecs_;
  std::size_t iovecs_used_ = 0;
  std::vector<bool> file_slots_;
  UringStats stats_;
  const co::Landmark landmark_;
};

// The fields of a submission that we use.
struct OpRequest {
  std::uint8_t opcode = IORING_OP_NOP;
  UringFile file{};
  std::uint64_t offset = 0;
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint32_t flags = 0;  // rw_flags, fsync_flags, poll32_events, cancel_flags
  Lane lane = Lane::here;
};

// A slot of the slab. Only uring.cpp writes it. While the store thread has it, only that thread
// does (see store_thread.h).
struct Op {
  // at_store: the store thread has it, or the kernel got it from there.
  enum class State : std::uint8_t { free, queued, submitted, at_store };
  std::uint64_t id() const { return std::uint64_t{generation} << 32 | index; }
  OpRequest request{};
  SgView view{};      // if vectored: the memory to move; request's address and length come from it
  co::Waker waker{};  // none: no coroutine waits for it (a cancel request)
  OpTicket* ticket = nullptr;
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  int result = 0;
  State state = State::free;
  bool vectored = false;
  bool handed_over = false;  // at_store: the store thread has begun to submit it
  Op* next = nullptr;
  Op* prev = nullptr;
};

}  // namespace ballast::io
