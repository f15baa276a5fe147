// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <climits>

#include "lib/base/assert.h"
#include "lib/io/uring.h"
#include "lib/io/uring_transfer.h"

namespace ballast::io {
namespace {

// Pieces in one readv or writev: the kernel's UIO_MAXIOV.
constexpr std::size_t pieces_per_operation = 1024;
// An operation that ended for a reason of no consequence (EINTR, EAGAIN, the submitting thread's
// exit) is started again so many times.
constexpr int restarts_allowed = 8;

// The part of `rest` that one operation may carry.
SgView first_part(SgView rest) {
  std::size_t pieces = 0;
  std::size_t bytes = 0;
  rest.for_each([&](std::span<std::byte> piece) {
    bytes += piece.size();
    return ++pieces < pieces_per_operation;
  });
  return rest.slice(0, bytes);
}

bool of_no_consequence(int result) {
  return result == -ECANCELED || result == -EINTR || result == -EAGAIN;
}

// The kernel tells a failure to write back once, with whatever errno it had.
bool is_told_once(const OpRequest& request, int result) {
  return request.opcode == IORING_OP_FSYNC && result == -EAGAIN;
}

}  // namespace

// --- reading and writing

Transfer::Transfer(Way way, UringFile file, Bytes offset, SgView view, int rw_flags,
                   OpTicket* ticket, Lane lane)
    : way_{way},
      file_{file},
      offset_{offset.value()},
      view_{view},
      bytes_{view.contiguous()},
      lane_{lane},
      rw_flags_{rw_flags},
      ticket_{ticket},
      size_{view.size()} {
  BALLAST_ASSERT(size_ <= INT_MAX);
  if (size_ == 0) {
    result_ = 0;
  }
}

Transfer::Transfer(Way way, UringFile file, Bytes offset, std::span<const std::byte> bytes,
                   int rw_flags, OpTicket* ticket, Lane lane)
    : way_{way},
      file_{file},
      offset_{offset.value()},
      bytes_{bytes},
      lane_{lane},
      rw_flags_{rw_flags},
      ticket_{ticket},
      size_{bytes.size()} {
  BALLAST_ASSERT(size_ <= INT_MAX);
  if (size_ == 0) {
    result_ = 0;
  }
}

OpRequest Transfer::next(SgView* segments) const {
  const bool reads = way_ == Way::read;
  OpRequest request;
  request.file = file_;
  request.offset = offset_ + done_;
  request.lane = lane_;
  request.flags = static_cast<std::uint32_t>(rw_flags_) |
                  (lane_ == Lane::at_once ? std::uint32_t{RWF_NOWAIT} : 0);
  if (bytes_.empty()) {
    request.opcode = reads ? IORING_OP_READV : IORING_OP_WRITEV;
    *segments = first_part(view_.slice(done_, size_ - done_));
    return request;
  }
  request.opcode = reads ? IORING_OP_READ : IORING_OP_WRITE;
  request.address = reinterpret_cast<std::uintptr_t>(bytes_.data() + done_);
  request.length = static_cast<std::uint32_t>(size_ - done_);
  return request;
}

void Transfer::took(int result) {
  const bool asked = ticket_ != nullptr && ticket_->cancel_requested();
  if (result > 0) {
    done_ += static_cast<std::size_t>(result);
    restarts_ = 0;
    if (done_ >= size_) {
      result_ = static_cast<int>(size_);
    } else if (asked) {
      result_ = -EINTR;
    }
    return;
  }
  if (result == 0) {
    result_ = way_ == Way::read ? static_cast<int>(done_) : -EIO;
    return;
  }
  if (lane_ == Lane::at_once && (result == -EAGAIN || result == -EOPNOTSUPP)) {
    lane_ = Lane::store;
    refused_ = -result;
    return;  // if cancellation was requested, launch() ends it
  }
  if (!of_no_consequence(result)) {
    result_ = result;
    return;
  }
  if (asked) {
    // The device may split a write, begin one part, and then refuse the rest.
    const bool untouched = done_ == 0 && restarts_ == 0 && refused_ == 0;
    result_ = result == -ECANCELED && untouched ? -ECANCELED : -EINTR;
    return;
  }
  if (restarts_++ == restarts_allowed) {
    result_ = result == -ECANCELED ? -EINTR : result;
  }
}

co::Task<int> Uring::read(UringFile file, Bytes offset, SgView to, OpTicket* ticket) {
  return move(Transfer{Transfer::Way::read, file, offset, to, 0, ticket});
}

co::Task<int> Uring::write(UringFile file, Bytes offset, SgView from, int rw_flags,
                           OpTicket* ticket) {
  return move(Transfer{Transfer::Way::write, file, offset, from, rw_flags, ticket});
}

co::Task<int> Uring::read(UringFile file, Bytes offset, std::span<std::byte> to, OpTicket* ticket,
                          Lane lane) {
  return move(Transfer{Transfer::Way::read, file, offset, to, 0, ticket, lane});
}

co::Task<int> Uring::write(UringFile file, Bytes offset, std::span<const std::byte> from,
                           int rw_flags, OpTicket* ticket, Lane lane) {
  return move(Transfer{Transfer::Way::write, file, offset, from, rw_flags, ticket, lane});
}

co::Task<int> Uring::move(Transfer transfer) {
  while (!transfer.ended()) {
    Running part{*this, transfer};
    const int got = co_await part;
    transfer.took(got);
  }
  co_return transfer.result();
}

// --- everything else

// Starts the operation again while it ends for a reason of no consequence (restarts_allowed times
// at most). Returns the result, or a negative errno.
co::Task<int> Uring::run(OpRequest request, const char* what, OpTicket* ticket) {
  int restarts = 0;
  for (;;) {
    Running running{*this, request, what, ticket};
    const int result = co_await running;
    if (!of_no_consequence(result) || is_told_once(request, result)) {
      co_return result;
    }
    if (ticket != nullptr && ticket->cancel_requested()) {
      co_return result == -ECANCELED&& restarts == 0 ? -ECANCELED : -EINTR;
    }
    if (restarts++ == restarts_allowed) {
      co_return result == -ECANCELED ? -EINTR : result;
    }
  }
}

co::Task<int> Uring::sync(UringFile file, Sync what, OpTicket* ticket) {
  OpRequest request;
  request.opcode = IORING_OP_FSYNC;
  request.lane = Lane::store;
  request.file = file;
  request.flags = what == Sync::data ? IORING_FSYNC_DATASYNC : 0;
  return run(request, "sync", ticket);
}

co::Task<int> Uring::fallocate(UringFile file, int mode, Bytes offset, Bytes length,
                               OpTicket* ticket) {
  OpRequest request;
  request.opcode = IORING_OP_FALLOCATE;
  request.lane = Lane::store;
  request.file = file;
  request.offset = offset.value();
  request.address = length.value();
  request.length = static_cast<std::uint32_t>(mode);
  return run(request, "fallocate", ticket);
}

co::Task<int> Uring::poll(int fd, unsigned events, OpTicket* ticket) {
  OpRequest request;
  request.opcode = IORING_OP_POLL_ADD;
  request.file = UringFile{fd, -1};
  request.flags = events;  // little-endian; the kernel swaps the halves elsewhere
  return run(request, "poll", ticket);
}

}  // namespace ballast::io
