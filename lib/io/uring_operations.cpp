// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <climits>

#include "lib/base/assert.h"
#include "lib/io/uring.h"
#include "lib/io/uring_running.h"

namespace ballast::io {
namespace {

// Pieces in one readv or writev: the kernel's UIO_MAXIOV.
constexpr std::size_t pieces_per_operation = 1024;
// How often an operation that ended for a reason of no consequence (EINTR, EAGAIN, the submitting
// thread's exit) is started again.
constexpr int restarts_allowed = 8;

OpRequest transfer(std::uint8_t opcode, UringFile file, std::uint64_t offset, int rw_flags) {
  OpRequest request;
  request.opcode = opcode;
  request.file = file;
  request.offset = offset;
  request.flags = static_cast<std::uint32_t>(rw_flags);
  return request;
}

// How a transfer goes on after one part of it ended with `result`.
struct Progress {
  std::size_t done = 0;
  int restarts = 0;
};

constexpr int go_on = INT_MIN;

// The transfer's result, or go_on. `end_of_file`: what a part of no bytes means.
int after_part(Progress& progress, int result, std::size_t size, const OpTicket* ticket,
               bool reading) {
  const bool asked = ticket != nullptr && ticket->cancel_requested();
  if (result > 0) {
    progress.done += static_cast<std::size_t>(result);
    progress.restarts = 0;
    if (progress.done >= size) {
      return static_cast<int>(size);
    }
    return asked ? -EINTR : go_on;
  }
  if (result == 0) {
    return reading ? static_cast<int>(progress.done) : -EIO;
  }
  if (result == -ECANCELED || result == -EINTR || result == -EAGAIN) {
    if (asked) {
      const bool untouched = progress.done == 0 && progress.restarts == 0;
      return result == -ECANCELED && untouched ? -ECANCELED : -EINTR;
    }
    if (progress.restarts++ < restarts_allowed) {
      return go_on;
    }
    return result == -ECANCELED ? -EINTR : result;
  }
  return result;
}

// The part of `view` from `done` on, cut to what one operation may carry.
SgView next_part(SgView view, std::size_t done) {
  const SgView rest = view.slice(done, view.size() - done);
  std::size_t pieces = 0;
  std::size_t bytes = 0;
  rest.for_each([&](std::span<std::byte> piece) {
    bytes += piece.size();
    return ++pieces < pieces_per_operation;
  });
  return rest.slice(0, bytes);
}

}  // namespace

co::Task<int> Uring::read(UringFile file, Bytes offset, SgView to, OpTicket* ticket) {
  BALLAST_ASSERT(to.size() <= INT_MAX);
  Progress progress;
  int result = to.empty() ? 0 : go_on;
  while (result == go_on) {
    const SgView part = next_part(to, progress.done);
    const OpRequest request = transfer(IORING_OP_READV, file, offset.value() + progress.done, 0);
    Running running{*this, request, part, "read", ticket};
    const int got = co_await running;
    result = after_part(progress, got, to.size(), ticket, true);
  }
  co_return result;
}

co::Task<int> Uring::write(UringFile file, Bytes offset, SgView from, int rw_flags,
                           OpTicket* ticket) {
  BALLAST_ASSERT(from.size() <= INT_MAX);
  Progress progress;
  int result = from.empty() ? 0 : go_on;
  while (result == go_on) {
    const SgView part = next_part(from, progress.done);
    const OpRequest request =
        transfer(IORING_OP_WRITEV, file, offset.value() + progress.done, rw_flags);
    Running running{*this, request, part, "write", ticket};
    const int got = co_await running;
    result = after_part(progress, got, from.size(), ticket, false);
  }
  co_return result;
}

co::Task<int> Uring::read(UringFile file, Bytes offset, std::span<std::byte> to, int buffer_index,
                          OpTicket* ticket) {
  BALLAST_ASSERT(to.size() <= INT_MAX);
  Progress progress;
  int result = to.empty() ? 0 : go_on;
  while (result == go_on) {
    OpRequest request = transfer(buffer_index >= 0 ? IORING_OP_READ_FIXED : IORING_OP_READ, file,
                                 offset.value() + progress.done, 0);
    request.buffer_index = buffer_index;
    request.address = reinterpret_cast<std::uintptr_t>(to.data() + progress.done);
    request.length = static_cast<std::uint32_t>(to.size() - progress.done);
    Running running{*this, request, SgView{}, "read", ticket};
    const int got = co_await running;
    result = after_part(progress, got, to.size(), ticket, true);
  }
  co_return result;
}

co::Task<int> Uring::write(UringFile file, Bytes offset, std::span<const std::byte> from,
                           int buffer_index, int rw_flags, OpTicket* ticket) {
  BALLAST_ASSERT(from.size() <= INT_MAX);
  Progress progress;
  int result = from.empty() ? 0 : go_on;
  while (result == go_on) {
    OpRequest request = transfer(buffer_index >= 0 ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE, file,
                                 offset.value() + progress.done, rw_flags);
    request.buffer_index = buffer_index;
    request.address = reinterpret_cast<std::uintptr_t>(from.data() + progress.done);
    request.length = static_cast<std::uint32_t>(from.size() - progress.done);
    Running running{*this, request, SgView{}, "write", ticket};
    const int got = co_await running;
    result = after_part(progress, got, from.size(), ticket, false);
  }
  co_return result;
}

co::Task<int> Uring::sync(UringFile file, Sync what, OpTicket* ticket) {
  OpRequest request;
  request.opcode = IORING_OP_FSYNC;
  request.file = file;
  request.flags = what == Sync::data ? IORING_FSYNC_DATASYNC : 0;
  Progress progress;
  int result = go_on;
  while (result == go_on) {
    Running running{*this, request, SgView{}, "sync", ticket};
    const int ended = co_await running;
    result = ended >= 0 ? 0 : after_part(progress, ended, 0, ticket, true);
  }
  co_return result;
}

co::Task<int> Uring::fallocate(UringFile file, int mode, Bytes offset, Bytes length,
                               OpTicket* ticket) {
  OpRequest request;
  request.opcode = IORING_OP_FALLOCATE;
  request.file = file;
  request.offset = offset.value();
  request.address = length.value();
  request.length = static_cast<std::uint32_t>(mode);
  Progress progress;
  int result = go_on;
  while (result == go_on) {
    Running running{*this, request, SgView{}, "fallocate", ticket};
    const int ended = co_await running;
    result = ended >= 0 ? 0 : after_part(progress, ended, 0, ticket, true);
  }
  co_return result;
}

co::Task<int> Uring::poll(int fd, unsigned events, OpTicket* ticket) {
  OpRequest request;
  request.opcode = IORING_OP_POLL_ADD;
  request.file = UringFile{fd, -1};
  request.flags = events;  // little-endian; the kernel swaps the halves elsewhere
  Progress progress;
  int result = go_on;
  while (result == go_on) {
    Running running{*this, request, SgView{}, "poll", ticket};
    const int ended = co_await running;
    result = ended > 0 ? ended : after_part(progress, ended, 0, ticket, true);
  }
  co_return result;
}

}  // namespace ballast::io
