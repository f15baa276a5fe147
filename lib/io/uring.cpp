// SPDX-License-Identifier: Apache-2.0
#include "lib/io/uring.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "lib/base/assert.h"
#include "lib/base/log.h"
#include "lib/io/anatomy.h"
#include "lib/io/uring_transfer.h"

namespace ballast::io {
namespace {

// Segments in the tables of one submission. A batch with more is submitted in parts.
constexpr std::size_t iovec_arena = 4096;
// Slots for cancel requests alone, so that these never wait behind the operations that they cancel.
constexpr std::size_t slots_for_cancels = 64;

Error setup_error(int errno_value) {
  const char* advice = "see io_uring_setup(2)";
  switch (errno_value) {
    case ENOSYS:
      advice =
          "this kernel has no io_uring, or a seccomp filter hides it: allow io_uring_setup, "
          "io_uring_enter and io_uring_register in the service's SystemCallFilter";
      break;
    case EPERM:
      advice =
          "io_uring is switched off: set the sysctl kernel.io_uring_disabled to 0, or allow "
          "io_uring_setup in the seccomp filter of the service or container";
      break;
    case ENOMEM:
      advice = "the limit on locked memory is too low: raise LimitMEMLOCK of the service";
      break;
    case EMFILE:
    case ENFILE:
      advice = "too many open files: raise LimitNOFILE of the service";
      break;
    default:
      break;
  }
  return Error{errno_value,
               fmt::format("cannot make an io_uring: {}; {}", std::strerror(errno_value), advice)};
}

}  // namespace

// --- making and ending

Uring::Uring(co::Executor& executor, UringOptions options)
    : executor_{executor}, options_{options}, landmark_{executor, Anatomy::uring, this} {}

Result<std::unique_ptr<Uring>> Uring::open(co::Executor& executor, UringOptions options) {
  BALLAST_ASSERT(options.entries > 0 && options.max_operations > 0);
  std::unique_ptr<Uring> ring{new Uring{executor, options}};
  Result<void> made = ring->setup();
  if (!made) {
    return made.error();
  }
  return ring;
}

Result<void> Uring::setup() {
  io_uring_params params{};
  const std::size_t completions = std::max<std::size_t>(
      2 * std::size_t{options_.entries}, options_.max_operations + slots_for_cancels);
  params.flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG;
  params.cq_entries = static_cast<unsigned>(std::bit_ceil(completions));
  int error = io_uring_queue_init_params(options_.entries, &ring_, &params);
  if (error == -EINVAL) {  // before Linux 5.19 there is no COOP_TASKRUN
    params = {};
    params.flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
    params.cq_entries = static_cast<unsigned>(std::bit_ceil(completions));
    error = io_uring_queue_init_params(options_.entries, &ring_, &params);
  }
  if (error < 0) {
    return setup_error(-error);
  }
  ring_open_ = true;
  constexpr unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE;
  if ((ring_.features & needed) != needed) {
    return Error{ENOSYS,
                 "this kernel's io_uring is too old (no NODROP or SUBMIT_STABLE): "
                 "Linux 5.5 or later is needed"};
  }
  options_.max_operations =
      std::min<std::size_t>(options_.max_operations, params.cq_entries - slots_for_cancels);
  error = io_uring_register_eventfd(&ring_, executor_.mailbox().fd());
  if (error < 0) {
    return Error{-error, fmt::format("cannot register an eventfd with the io_uring: {}",
                                     std::strerror(-error))};
  }
  BALLAST_ASSERT(options_.store_threads <= most_store_threads);
  for (std::size_t i = 0; i < options_.store_threads; ++i) {
    Result<std::unique_ptr<StoreThread>> store = StoreThread::open(executor_, params.cq_entries);
    if (!store) {
      return store.error();
    }
    stores_.push_back(std::move(store).value());
  }
  if (options_.file_slots > 0 && io_uring_register_files_sparse(&ring_, options_.file_slots) == 0) {
    file_slots_.resize(options_.file_slots);
  }
  iovecs_.resize(iovec_arena);
  executor_.add_tick_hook(*this);
  hooked_ = true;
  return {};
}

Uring::~Uring() {
  if (hooked_) {
    // Only cancel requests may be left, which have no waiter.
    executor_.remove_tick_hook(*this);
    for (const auto& slab : slabs_) {
      for (std::size_t i = 0; i < ops_per_slab; ++i) {
        BALLAST_ASSERT(slab[i].state == Op::State::free || !slab[i].waker);
      }
    }
    BALLAST_ASSERT(waiting_head_ == nullptr);
  }
  stores_.clear();  // they may still read a cancel request
  if (ring_open_) {
    io_uring_queue_exit(&ring_);
  }
}

// --- slots

// False: out of memory.
bool Uring::add_slab() {
  const std::size_t first = slabs_.size() * ops_per_slab;
  try {
    slabs_.push_back(std::make_unique<Op[]>(ops_per_slab));
  } catch (const std::bad_alloc&) {
    return false;
  }
  for (std::size_t i = ops_per_slab; i-- > 0;) {
    Op* const op = &slabs_.back()[i];
    op->index = static_cast<std::uint32_t>(first + i);
    op->next = free_;
    free_ = op;
  }
  return true;
}

// Null: out of memory.
Op* Uring::acquire() {
  if (free_ == nullptr && !add_slab()) {
    return nullptr;
  }
  Op* const op = free_;
  free_ = op->next;
  op->next = nullptr;
  ++slots_in_use_;
  return op;
}

void Uring::release(Op* op) {
  BALLAST_ASSERT(op->state != Op::State::free);
  if (op->ticket != nullptr) {
    op->ticket->op_ = nullptr;
    op->ticket = nullptr;
  }
  op->state = Op::State::free;
  op->waker = {};
  op->view = {};
  ++op->generation;
  op->next = free_;
  free_ = op;
  --slots_in_use_;
  if (waiting_head_ != nullptr && slots_in_use_ < options_.max_operations) {
    Running* const running = waiting_head_;
    waiting_head_ = running->next_;
    if (waiting_head_ == nullptr) {
      waiting_tail_ = nullptr;
    }
    --waiting_count_;
    launch(*running);
  }
}

// --- starting

void Uring::start(Running& running) {
  if (slots_in_use_ < options_.max_operations && waiting_head_ == nullptr) {
    launch(running);
    return;
  }
  ++stats_.slot_waits;
  ++waiting_count_;
  (waiting_tail_ != nullptr ? waiting_tail_->next_ : waiting_head_) = &running;
  waiting_tail_ = &running;
}

void Uring::launch(Running& running) {
  const co::Waker waker = running.wait_.waker();
  if (running.ticket_ != nullptr && running.ticket_->cancel_requested_) {
    (void)waker.wake(-ECANCELED);
    return;
  }
  Op* const op = acquire();
  if (op == nullptr) {
    (void)waker.wake(-ENOMEM);
    return;
  }
  op->request = running.request_;
  op->view = running.view_;
  op->vectored = !running.view_.empty();
  op->waker = waker;
  op->ticket = running.ticket_;
  if (op->ticket != nullptr) {
    BALLAST_ASSERT(op->ticket->op_ == nullptr);  // one operation per ticket
    op->ticket->op_ = op;
  }
  enqueue(op);
}

// Null: the driving thread hands it over.
StoreThread* Uring::store_thread_of(const OpRequest& request) const {
  const std::size_t thread = request.file.store_thread;
  return request.lane == Lane::store && thread < stores_.size() ? stores_[thread].get() : nullptr;
}

void Uring::enqueue(Op* op) {
  if (StoreThread* const store = store_thread_of(op->request); store != nullptr) {
    op->state = Op::State::at_store;
    ++in_flight_;
    stats_.in_flight_peak = std::max(stats_.in_flight_peak, in_flight_);
    store->push(op);
    return;
  }
  op->state = Op::State::queued;
  op->next = nullptr;
  op->prev = queue_tail_;
  (queue_tail_ != nullptr ? queue_tail_->next : queue_head_) = op;
  queue_tail_ = op;
  if (++queued_count_ >= submit_batch && !stalled_) {
    submit_queued();
  }
}

void Uring::unqueue(Op* op) {
  (op->prev != nullptr ? op->prev->next : queue_head_) = op->next;
  (op->next != nullptr ? op->next->prev : queue_tail_) = op->prev;
  op->next = op->prev = nullptr;
  --queued_count_;
}

// --- submitting

// Moves `op` into the submission ring. Returns false if the ring, or the table for its segments,
// has no room.
bool Uring::prepare(Op* op) {
  OpRequest& request = op->request;
  if (io_uring_sq_space_left(&ring_) == 0) {
    return false;
  }
  if (op->vectored) {
    const std::span<iovec> room = std::span{iovecs_}.subspan(iovecs_used_);
    const std::optional<std::size_t> count = op->view.to_iovecs(room);
    if (!count) {
      return false;
    }
    if (*count == 1) {  // cheaper for the kernel than a table of one
      request.opcode = request.opcode == IORING_OP_READV ? IORING_OP_READ : IORING_OP_WRITE;
      request.address = reinterpret_cast<std::uintptr_t>(room[0].iov_base);
      request.length = static_cast<std::uint32_t>(room[0].iov_len);
    } else {
      request.address = reinterpret_cast<std::uintptr_t>(room.data());
      request.length = static_cast<std::uint32_t>(*count);
      iovecs_used_ += *count;
    }
  }
  io_uring_sqe* const sqe = io_uring_get_sqe(&ring_);
  BALLAST_ASSERT(sqe != nullptr);
  std::memset(sqe, 0, sizeof *sqe);
  sqe->opcode = request.opcode;
  sqe->off = request.offset;
  sqe->addr = request.address;
  sqe->len = request.length;
  sqe->rw_flags = static_cast<__kernel_rwf_t>(request.flags);
  sqe->fd = request.file.fd;
  if (request.file.slot >= 0) {
    sqe->fd = request.file.slot;
    sqe->flags = IOSQE_FIXED_FILE;
  }
  sqe->user_data = op->id();
  unqueue(op);
  op->state = Op::State::submitted;
  ++in_flight_;
  stats_.in_flight_peak = std::max(stats_.in_flight_peak, in_flight_);
  return true;
}

void Uring::tick_end() {
  stalled_ = false;
  submit_queued();
  for (const std::unique_ptr<StoreThread>& store : stores_) {
    store->ring_bell();
  }
}

// Hands everything queued to the kernel. Entries that the kernel refuses for now stay in the
// submission ring.
void Uring::submit_queued() {
  while (queue_head_ != nullptr || io_uring_sq_ready(&ring_) > 0) {
    while (queue_head_ != nullptr && prepare(queue_head_)) {
    }
    submit();
    if (stalled_) {
      return;
    }
  }
}

void Uring::submit() {
  const unsigned before = io_uring_sq_ready(&ring_);
  ++stats_.submits;
  const int result = io_uring_submit(&ring_);
  if (result > 0) {
    stats_.operations += static_cast<std::uint64_t>(result);
  }
  // The kernel stops at an invalid entry, whose completion reports the error. Another call goes on
  // with the rest; hence the loop around this.
  if (io_uring_sq_ready(&ring_) == 0) {
    iovecs_used_ = 0;
    return;
  }
  if (result <= 0 || io_uring_sq_ready(&ring_) == before) {
    // EAGAIN, ENOMEM: no memory. EBUSY: completions overflowed, and must be reaped first. EINTR: a
    // signal. Any other error is a bug of ours.
    BALLAST_ASSERT(result == -EAGAIN || result == -EBUSY || result == -EINTR || result == -ENOMEM ||
                   result == 0);
    ++stats_.refused_submits;
    stalled_ = true;
  }
}

// --- completing

std::size_t Uring::fetch_completions() {
  if ((__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN) != 0) {
    (void)io_uring_get_events(&ring_);
  }
  std::size_t ready = io_uring_cq_ready(&ring_);
  for (const std::unique_ptr<StoreThread>& store : stores_) {
    ready += io_uring_cq_ready(&store->ring());
  }
  return ready;
}

std::size_t Uring::reap() {
  std::size_t ended = reap(ring_);
  for (const std::unique_ptr<StoreThread>& store : stores_) {
    ended += reap(store->ring());
  }
  return ended;
}

std::size_t Uring::reap(io_uring& ring) {
  std::size_t ended = 0;
  io_uring_cqe* batch[64];
  for (;;) {
    const unsigned count = io_uring_peek_batch_cqe(&ring, batch, 64);
    if (count == 0) {
      return ended;
    }
    for (unsigned i = 0; i < count; ++i) {
      const io_uring_cqe cqe = *batch[i];
      complete(cqe);
      ended += (cqe.flags & IORING_CQE_F_MORE) == 0 ? 1 : 0;
    }
    io_uring_cq_advance(&ring, count);
  }
}

void Uring::complete(const io_uring_cqe& cqe) {
  ++stats_.completions;
  const std::size_t index = cqe.user_data & 0xffffffff;
  BALLAST_ASSERT(index < slabs_.size() * ops_per_slab);
  Op* const op = &slabs_[index / ops_per_slab][index % ops_per_slab];
  BALLAST_ASSERT(op->id() == cqe.user_data);
  BALLAST_ASSERT(op->state == Op::State::submitted || op->state == Op::State::at_store);
  if ((cqe.flags & IORING_CQE_F_MORE) != 0) {
    op->result = cqe.res;  // the kernel has not let go of it yet, but this is its result
    return;
  }
  const int result = (cqe.flags & IORING_CQE_F_NOTIF) != 0 ? op->result : cqe.res;
  const co::Waker waker = op->waker;
  if (op->state == Op::State::at_store) {
    store_thread_of(op->request)->forget();
  }
  --in_flight_;
  release(op);
  if (waker) {
    (void)waker.wake(result);
  }
}

// --- cancelling

// Ends the operation of `ticket` that waits for a slot, if there is one.
void Uring::abandon_waiting(const OpTicket& ticket) {
  Running* before = nullptr;
  for (Running* running = waiting_head_; running != nullptr; running = running->next_) {
    if (running->ticket_ == &ticket) {
      (before != nullptr ? before->next_ : waiting_head_) = running->next_;
      if (waiting_tail_ == running) {
        waiting_tail_ = before;
      }
      --waiting_count_;
      (void)running->wait_.waker().wake(-ECANCELED);
      return;
    }
    before = running;
  }
}

void Uring::cancel(OpTicket& ticket) {
  if (ticket.cancel_requested_) {
    return;
  }
  ticket.cancel_requested_ = true;
  Op* const op = ticket.op_;
  if (op == nullptr) {
    abandon_waiting(ticket);  // between two parts, launch() sees the request
    return;
  }
  if (op->state == Op::State::queued) {
    unqueue(op);
    end_before_submission(op);
    return;
  }
  if (op->state == Op::State::at_store && store_thread_of(op->request)->take_back(op)) {
    --in_flight_;
    end_before_submission(op);
    return;
  }
  if (slots_in_use_ >= options_.max_operations + slots_for_cancels) {
    return;  // no slot for the request; cancel() only promises to try
  }
  Op* const request = acquire();
  if (request == nullptr) {
    return;  // as above
  }
  request->request = OpRequest{};
  request->request.opcode = IORING_OP_ASYNC_CANCEL;
  request->request.address = op->id();
  // To the ring that has the operation.
  request->request.lane = op->request.lane;
  request->request.file.store_thread = op->request.file.store_thread;
  request->view = {};
  request->vectored = false;
  enqueue(request);
}

// Ends an operation that the kernel never got: certainly nothing of it is done.
void Uring::end_before_submission(Op* op) {
  const co::Waker waker = op->waker;
  release(op);
  (void)waker.wake(-ECANCELED);
}

// --- registered files

UringFile Uring::register_file(int fd, std::uint8_t store_thread) {
  const auto free = std::find(file_slots_.begin(), file_slots_.end(), false);
  if (free == file_slots_.end()) {
    return UringFile{fd, -1, store_thread};
  }
  const auto slot = static_cast<unsigned>(free - file_slots_.begin());
  if (io_uring_register_files_update(&ring_, slot, &fd, 1) != 1) {
    return UringFile{fd, -1, store_thread};
  }
  *free = true;
  return UringFile{fd, static_cast<int>(slot), store_thread};
}

void Uring::unregister_file(UringFile file) {
  if (file.slot < 0) {
    return;
  }
  const auto slot = static_cast<std::size_t>(file.slot);
  BALLAST_ASSERT(slot < file_slots_.size() && file_slots_[slot]);
  const int none = -1;
  (void)io_uring_register_files_update(&ring_, static_cast<unsigned>(slot), &none, 1);
  file_slots_[slot] = false;
}

// --- waking a sleeper

void Uring::set_notify(bool on) {
  (void)io_uring_cq_eventfd_toggle(&ring_, on);
  for (const std::unique_ptr<StoreThread>& store : stores_) {
    (void)io_uring_cq_eventfd_toggle(&store->ring(), on);
  }
  if (on) {
    // The kernel must see the flag before we look for completions.
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
}

bool Uring::completions_waiting() const {
  return io_uring_cq_ready(&ring_) > 0 || io_uring_cq_has_overflow(&ring_) ||
         std::ranges::any_of(
             stores_, [](const auto& store) { return io_uring_cq_ready(&store->ring()) > 0; });
}

}  // namespace ballast::io
