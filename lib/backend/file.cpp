// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/file.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <span>
#include <utility>

#include "lib/backend/file_backend.h"
#include "lib/backend/op_status.h"
#include "lib/backend/pr_session.h"
#include "lib/backend/ring_operation.h"
#include "lib/base/log.h"
#include "lib/io/bounce.h"
#include "lib/io/buffer_pool.h"
#include "lib/io/helper_thread.h"

namespace ballast::backend {
namespace {

// So much of an operation is copied through a buffer at once. The smallest pool has room for
// another such buffer.
constexpr std::size_t bounce_size = std::size_t{1} << 20;

LaneChoice::Tick coarse_now() {
  timespec now{};
  (void)::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return LaneChoice::Tick{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

LaneChoice::Kind kind_of(const OpenFile& file) {
  if (file.in_memory) {
    return LaneChoice::Kind::in_memory;
  }
  if (!file.direct) {
    return LaneChoice::Kind::cached_file;
  }
  return file.block_device ? LaneChoice::Kind::block_device : LaneChoice::Kind::direct_file;
}

}  // namespace

File::File(OpenFile file, std::string path, const OpenContext& context)
    : executor_{context.executor},
      uring_{context.uring},
      buffers_{context.buffers},
      spares_{executor_, "a spare buffer for a bounced transfer"},
      helper_{context.helper},
      file_{std::move(file)},
      path_{std::move(path)},
      // The kernel closes a registered file late (after a second or so on Linux 6.1). close() can
      // release the lock of a regular file before that, but not the exclusive hold on a block
      // device. So a block device is not registered.
      handle_{file_.block_device
                  ? io::UringFile{.fd = file_.fd.get(), .store_thread = context.store_thread}
                  : uring_.register_file(file_.fd.get(), context.store_thread)},
      running_{executor_, "a file's last operation"},
      lanes_{kind_of(file_)},
      share_{file_.device, file_.queue_tags},
      shape_{executor_, "the size and the label of a file"},
      errors_{executor_, path_} {}

void File::share(std::string lun) {
  const int fd = file_.fd.get();
  access_ = std::make_unique<SharedAccess>(executor_, std::move(lun),
                                           make_pr_session(executor_, fd, path_),
                                           make_pr_sessions(executor_, fd, path_));
}

io::Lane File::lane_of_write(bool durable, std::size_t under_way, LaneChoice::Tick* tick) const {
  return durable && !file_.in_memory
             ? io::Lane::store
             : lanes_.write(executor_.now(), under_way, share_, &coarse_now, tick);
}

// The kernel requires that the address of each piece is aligned for the device's DMA, and that its
// length is a multiple of the device's block (block/blk.h, iov_iter_is_aligned).
bool File::moves_in_place(io::SgView view) const {
  return !file_.direct || view.for_each([this](std::span<std::byte> piece) {
    return reinterpret_cast<std::uintptr_t>(piece.data()) % file_.memory_alignment == 0 &&
           piece.size() % file_.offset_alignment == 0;
  });
}

// Whether an operation has found that the device belongs to another machine.
bool File::is_robbed(const Place& place, int result) {
  if (result != -EBADE || place.session == nullptr) [[likely]] {
    return false;
  }
  access_->lost(*place.session, "another machine has taken its reservation");
  return true;
}

// --- read and write ------------------------------------------------------------------------------

co::Task<IoStatus> File::read(Bytes offset, io::SgView to, co::CancelToken cancel) {
  const Place here = place();
  if (here.gate == nullptr) [[unlikely]] {
    co_return IoStatus::not_ready;
  }
  RingOperation op{*here.gate, uring_, cancel};
  int result = 0;
  if (moves_in_place(to)) {
    io::Transfer transfer{io::Transfer::Way::read,         handle_, offset, to, 0, &op.ticket,
                          lane_of_read(here.gate->count())};
    while (!transfer.ended()) {
      io::Running part{uring_, transfer};
      const int got = co_await part;
      transfer.took(got);
    }
    note_refusal(transfer);
    result = transfer.result();
    if (result >= 0) {
      lanes_.has_read(executor_.now());
    }
  } else {
    result = co_await bounced_read(offset, to, &op.ticket, cancel);
  }
  if (result >= 0 && static_cast<std::size_t>(result) == to.size()) {
    co_return IoStatus::ok;
  }
  if (result == -ECANCELED || result == -EINTR) {
    co_return IoStatus::cancelled;
  }
  if (is_robbed(here, result)) {
    co_return IoStatus::not_ready;
  }
  if (result >= 0) {
    errors_.report("read", offset, Bytes{to.size()}, "the file is shorter than it was when opened");
    co_return IoStatus::medium_error;
  }
  errors_.report("read", offset, Bytes{to.size()}, std::strerror(-result));
  co_return status_from_errno(OpKind::read, -result);
}

// Returns what Uring::read returns. The pieces are read one after the other, and each holds one
// buffer.
co::Task<int> File::bounced_read(Bytes offset, io::SgView to, io::OpTicket* ticket,
                                 co::CancelToken cancel) {
  std::size_t done = 0;
  while (done < to.size()) {
    io::Bounce bounce;
    const int taken =
        co_await bounce.take(buffers_, spares_, std::min(bounce_size, to.size() - done), cancel);
    if (taken < 0) {
      co_return taken == -ECANCELED ? -EINTR : taken;
    }
    const std::span<std::byte> memory = bounce.memory();
    const int got =
        co_await uring_.read(handle_, offset + Bytes{done}, memory, ticket, lane_of_bounced());
    if (got < 0) {
      co_return got;
    }
    const auto moved = static_cast<std::size_t>(got);
    io::copy(to.slice(done, moved), memory.first(moved));
    done += moved;
    if (moved < memory.size()) {
      break;
    }
  }
  co_return static_cast<int>(done);
}

co::Task<IoStatus> File::write(Bytes offset, io::SgView from, Fua fua, co::CancelToken cancel) {
  const bool durable = fua == Fua::yes;
  if (durable && !ok(lost_)) {
    co_return lost_;
  }
  if (must_verify()) [[unlikely]] {
    (void)co_await access_->verified();
  }
  const Place here = place_of_change();
  if (here.gate == nullptr) [[unlikely]] {
    co_return IoStatus::not_ready;
  }
  RingOperation op{*here.gate, uring_, cancel};
  const int flags = durable ? RWF_DSYNC : 0;
  int result = 0;
  if (moves_in_place(from)) {
    LaneChoice::Tick tick = -1;
    const io::Lane lane = lane_of_write(durable, here.gate->count(), &tick);
    io::Transfer transfer{io::Transfer::Way::write, handle_, offset, from, flags, &op.ticket, lane};
    while (!transfer.ended()) {
      io::Running part{uring_, transfer};
      const int put = co_await part;
      transfer.took(put);
    }
    note_refusal(transfer);
    result = transfer.result();
    if (result >= 0) {
      lanes_.has_written(executor_.now(), tick);
    }
  } else {
    result = co_await bounced_write(offset, from, flags, &op.ticket, cancel);
  }
  co_return is_robbed(here, result) ? IoStatus::not_ready
                                    : write_status(offset, from.size(), result, durable);
}

co::Task<int> File::bounced_write(Bytes offset, io::SgView from, int flags, io::OpTicket* ticket,
                                  co::CancelToken cancel) {
  std::size_t done = 0;
  while (done < from.size()) {
    io::Bounce bounce;
    const int taken =
        co_await bounce.take(buffers_, spares_, std::min(bounce_size, from.size() - done), cancel);
    if (taken < 0) {
      co_return taken == -ECANCELED&& done > 0 ? -EINTR : taken;
    }
    const std::span<std::byte> memory = bounce.memory();
    io::copy(memory, from.slice(done, memory.size()));
    const int put = co_await uring_.write(handle_, offset + Bytes{done}, memory, flags, ticket,
                                          lane_of_bounced());
    if (put < 0) {
      // -ECANCELED promises that nothing was written.
      co_return put == -ECANCELED&& done > 0 ? -EINTR : put;
    }
    done += static_cast<std::size_t>(put);
  }
  co_return static_cast<int>(done);
}

IoStatus File::write_status(Bytes offset, std::size_t length, int result, bool durable) {
  if (result >= 0 && static_cast<std::size_t>(result) == length) {
    return durable ? lost_ : IoStatus::ok;
  }
  if (result == -ECANCELED) {
    return IoStatus::cancelled;
  }
  if (result == -EINTR) {
    return IoStatus::medium_error;  // asked to end, and a part is written
  }
  const int why = result < 0 ? -result : EIO;
  errors_.report(durable ? "durable write" : "write", offset, Bytes{length}, std::strerror(why));
  const IoStatus status = status_from_errno(OpKind::write, why);
  if (durable && loses_data(result)) {
    lost_ = status_from_errno(OpKind::flush, why);
  }
  return status;
}

bool File::loses_data(int result) const {
  return !file_.direct && result != -ECANCELED && result != -EINTR && result != -EAGAIN &&
         result != -ENOMEM;
}

co::Task<IoStatus> File::flush(co::CancelToken cancel) {
  if (!ok(lost_)) {
    co_return lost_;
  }
  const Place here = place();
  if (here.gate == nullptr) [[unlikely]] {
    co_return IoStatus::not_ready;
  }
  RingOperation op{*here.gate, uring_, cancel};
  const int result = co_await uring_.sync(handle_, io::Sync::data, &op.ticket);
  if (result == 0) {
    co_return lost_;
  }
  if (result == -ECANCELED || result == -EINTR) {
    co_return IoStatus::cancelled;
  }
  if (is_robbed(here, result)) {
    co_return IoStatus::not_ready;
  }
  IoStatus status = status_from_errno(OpKind::flush, -result);
  errors_.report("flush", Bytes{}, file_.geometry.size, std::strerror(-result));
  if (!file_.direct) {
    // The kernel tells each failure to write back once, with whatever errno it had: after ENOMEM,
    // too, the next fdatasync would succeed.
    status = status == IoStatus::no_resource ? IoStatus::medium_error : status;
    log(LogLevel::error,
        "{}: the kernel could not write back some data, so acknowledged writes may be lost; every "
        "flush fails until the LUN is opened again",
        path_);
    lost_ = status;
  }
  co_return status;
}

co::Task<void> File::close() {
  if (access_ != nullptr) {
    co_await access_->close();
  }
  running_.close();
  co_await running_.drain();
  std::function<int()> work = [fd = handle_.fd, regular = !file_.block_device] {
    struct flock whole {};
    whole.l_type = F_UNLCK;
    whole.l_whence = SEEK_SET;
    return !regular || ::fcntl(fd, F_OFD_SETLK, &whole) == 0 ? 0 : -errno;
  };
  (void)co_await helper_.run(std::move(work));
  uring_.unregister_file(handle_);
  UniqueFd last = std::move(file_.fd);
  std::function<int()> closing = [fd = &last] {
    fd->reset();
    return 0;
  };
  (void)co_await helper_.run(std::move(closing));
  file_.claim.release();
}

std::unique_ptr<Backend> make_file(OpenFile file, std::string path, const OpenContext& context) {
  return std::make_unique<File>(std::move(file), std::move(path), context);
}

std::unique_ptr<Backend> make_shared_file(OpenFile file, std::string path, std::string lun,
                                          const OpenContext& context) {
  auto shared = std::make_unique<File>(std::move(file), std::move(path), context);
  shared->share(std::move(lun));
  return shared;
}

}  // namespace ballast::backend
