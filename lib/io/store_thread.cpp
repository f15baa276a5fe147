// SPDX-License-Identifier: Apache-2.0
#include "lib/io/store_thread.h"

#include <fmt/format.h>
#include <signal.h>
#include <time.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "lib/base/assert.h"
#include "lib/io/uring.h"

namespace ballast::io {
namespace {

// Segments in one system call. One operation has at most UIO_MAXIOV (1024), so at least one fits.
constexpr std::size_t most_segments = 1024;
// A submission that the kernel refuses for now is tried again after this time.
constexpr timespec retry{.tv_sec = 0, .tv_nsec = 1'000'000};

}  // namespace

Result<std::unique_ptr<StoreThread>> StoreThread::open(co::Executor& executor,
                                                       unsigned completions) {
  std::unique_ptr<StoreThread> made{new StoreThread{executor}};
  if (Result<void> started = made->start(completions); !started) {
    return started.error();
  }
  return made;
}

Result<void> StoreThread::start(unsigned completions) {
  io_uring_params params{};
  segments_.resize(most_segments);
  params.flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
  params.cq_entries = completions;
  int error = io_uring_queue_init_params(2 * most_at_once, &ring_, &params);
  if (error < 0) {
    return Error{-error, fmt::format("cannot make an io_uring for the store thread: {}; raise "
                                     "LimitNOFILE and LimitMEMLOCK of the service",
                                     std::strerror(-error))};
  }
  ring_open_ = true;
  error = io_uring_register_eventfd(&ring_, executor_.mailbox().fd());
  if (error < 0) {
    return Error{-error,
                 fmt::format("cannot register an eventfd with the store thread's io_uring: {}",
                             std::strerror(-error))};
  }
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = pthread_create(&thread_, nullptr, &StoreThread::entry, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    return Error{error, fmt::format("cannot start the store thread of {}: {}; raise TasksMax or "
                                    "LimitNPROC of the service",
                                    executor_.name(), std::strerror(error))};
  }
  started_ = true;
  const std::string name = std::string{"store/"}.append(executor_.name()).substr(0, 15);
  (void)pthread_setname_np(thread_, name.c_str());
  return {};
}

StoreThread::~StoreThread() {
  if (started_) {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    changed_.notify_one();
    pthread_join(thread_, nullptr);
  }
  if (ring_open_) {
    io_uring_queue_exit(&ring_);
  }
}

// --- the driving thread

void StoreThread::push(Op* op) {
  op->next = nullptr;
  const std::lock_guard lock{mutex_};
  op->prev = last_;
  (last_ != nullptr ? last_->next : first_) = op;
  last_ = op;
  op->handed_over = false;
  bell_due_ = true;
}

void StoreThread::ring_bell() {
  if (!bell_due_) {
    return;
  }
  bell_due_ = false;
  bool sleeps = false;
  {
    const std::lock_guard lock{mutex_};
    sleeps = asleep_;
  }
  if (sleeps) {
    changed_.notify_one();
  }
}

bool StoreThread::take_back(Op* op) {
  const std::lock_guard lock{mutex_};
  if (op->handed_over) {
    return false;
  }
  (op->prev != nullptr ? op->prev->next : first_) = op->next;
  (op->next != nullptr ? op->next->prev : last_) = op->prev;
  op->next = op->prev = nullptr;
  return true;
}

// The kernel has ended the operation, so the store thread has read its fields before. The C++
// memory model knows nothing of the kernel; the lock gives it the same order.
void StoreThread::forget() {
  const std::lock_guard lock{mutex_};
}

// --- the store thread

void* StoreThread::entry(void* self) {
  static_cast<StoreThread*>(self)->serve();
  return nullptr;
}

void StoreThread::serve() {
  for (;;) {
    {
      std::unique_lock lock{mutex_};
      asleep_ = true;
      changed_.wait(lock, [this] { return first_ != nullptr || stopping_; });
      asleep_ = false;
      if (first_ == nullptr) {
        return;
      }
      take_batch();
    }
    submit();
  }
}

// Moves the first operations into the submission queue, which is empty. Call it with the lock held.
void StoreThread::take_batch() {
  segments_used_ = 0;
  for (unsigned count = 0; count < most_at_once && first_ != nullptr; ++count) {
    Op* const op = first_;
    if (!prepare(*op)) {
      return;
    }
    first_ = op->next;
    (first_ != nullptr ? first_->prev : last_) = nullptr;
    op->next = nullptr;
    op->handed_over = true;
  }
}

bool StoreThread::prepare(const Op& op) {
  const OpRequest& request = op.request;
  std::uint64_t address = request.address;
  std::uint32_t length = request.length;
  if (op.vectored) {
    const std::span<iovec> room = std::span{segments_}.subspan(segments_used_);
    const std::optional<std::size_t> count = op.view.to_iovecs(room);
    if (!count) {
      return false;
    }
    address = reinterpret_cast<std::uintptr_t>(room.data());
    length = static_cast<std::uint32_t>(*count);
    segments_used_ += *count;
  }
  io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
  BALLAST_ASSERT(sqe != nullptr);
  std::memset(sqe, 0, sizeof *sqe);
  sqe->opcode = request.opcode;
  sqe->off = request.offset;
  sqe->addr = address;
  sqe->len = length;
  sqe->rw_flags = static_cast<__kernel_rwf_t>(request.flags);
  sqe->fd = request.file.fd;
  sqe->user_data = op.id();
  return true;
}

// If the store hangs, the store thread sleeps here.
void StoreThread::submit() {
  while (io_uring_sq_ready(&ring_) > 0) {
    if (io_uring_submit(&ring_) <= 0) {
      ::nanosleep(&retry, nullptr);  // EAGAIN, ENOMEM: no memory now; EINTR
    }
  }
}

}  // namespace ballast::io
