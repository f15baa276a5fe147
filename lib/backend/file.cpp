// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/file.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "lib/backend/error_log.h"
#include "lib/backend/extents.h"
#include "lib/backend/file_probe.h"
#include "lib/backend/lane_choice.h"
#include "lib/backend/op_status.h"
#include "lib/backend/queue_share.h"
#include "lib/backend/ring_operation.h"
#include "lib/base/log.h"
#include "lib/co/gate.h"
#include "lib/io/buffer_pool.h"
#include "lib/io/helper_thread.h"
#include "lib/io/uring.h"
#include "lib/io/uring_transfer.h"

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

class File final : public Backend {
 public:
  File(OpenFile file, std::string path, const OpenContext& context)
      : executor_{context.executor},
        uring_{context.uring},
        buffers_{context.buffers},
        helper_{context.helper},
        file_{std::move(file)},
        path_{std::move(path)},
        // The kernel closes a registered file late (after a second or so on Linux 6.1). close() can
        // release the lock of a regular file before that, but not the exclusive hold on a block
        // device. So a block device is not registered.
        handle_{file_.block_device ? io::UringFile{.fd = file_.fd.get(), .slot = -1}
                                   : uring_.register_file(file_.fd.get())},
        running_{executor_, "a file's last operation"},
        lanes_{kind_of(file_)},
        share_{file_.device, file_.queue_tags},
        errors_{executor_, path_} {}
  ~File() override {
    if (file_.fd) {
      BALLAST_ASSERT(!running_.used());
      uring_.unregister_file(handle_);
    }
  }

  co::Executor& executor() override { return executor_; }
  const Geometry& geometry() const override { return file_.geometry; }
  const Capabilities& capabilities() const override { return file_.capabilities; }
  std::string description() const override { return "file=" + path_; }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override;
  co::Task<IoStatus> write(Bytes offset, io::SgView from, Fua fua, co::CancelToken cancel) override;
  co::Task<IoStatus> zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                          co::CancelToken cancel) override;
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override;
  co::Task<IoStatus> flush(co::CancelToken cancel) override;
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<Extent>* out) override;
  co::Task<IoStatus> resize(Bytes size) override;
  co::Task<void> close() override;

 private:
  bool moves_in_place(io::SgView view) const;
  // `running_` counts the operation already.
  io::Lane lane_of_read() const { return lanes_.read(executor_.now(), running_.count(), share_); }
  io::Lane lane_of_write(bool durable, LaneChoice::Tick* tick) const {
    return durable && !file_.in_memory
               ? io::Lane::store
               : lanes_.write(executor_.now(), running_.count(), share_, &coarse_now, tick);
  }
  io::Lane lane_of_bounced() const { return file_.in_memory ? io::Lane::here : io::Lane::store; }
  void note_refusal(const io::Transfer& transfer) {
    if (transfer.refused() != 0) {
      lanes_.refused(transfer.refused());
    }
  }
  co::Task<int> bounced_read(Bytes offset, io::SgView to, io::OpTicket* ticket,
                             co::CancelToken cancel);
  co::Task<int> bounced_write(Bytes offset, io::SgView from, int flags, io::OpTicket* ticket,
                              co::CancelToken cancel);
  co::Task<int> fallocate(int mode, bool& missing, Bytes offset, Bytes length,
                          co::CancelToken cancel);
  IoStatus write_status(Bytes offset, std::size_t length, int result, bool durable);
  bool loses_data(int result) const;

  co::Executor& executor_;
  io::Uring& uring_;
  io::BufferPool& buffers_;
  io::HelperThread& helper_;
  OpenFile file_;
  const std::string path_;
  const io::UringFile handle_;
  co::Gate running_;
  LaneChoice lanes_;
  const QueueShare share_;
  ErrorLog errors_;
  // Set when the kernel says that it lacks a call; the call is not tried again.
  bool no_zero_range_ = false;
  bool no_punch_hole_ = false;
  bool no_discard_ = false;
  IoStatus lost_ = IoStatus::ok;  // not ok: acknowledged data is lost; how every flush ends
};

// The kernel requires that the address of each piece is aligned for the device's DMA, and that its
// length is a multiple of the device's block (block/blk.h, iov_iter_is_aligned).
bool File::moves_in_place(io::SgView view) const {
  return !file_.direct || view.for_each([this](std::span<std::byte> piece) {
    return reinterpret_cast<std::uintptr_t>(piece.data()) % file_.memory_alignment == 0 &&
           piece.size() % file_.offset_alignment == 0;
  });
}

// --- read and write ------------------------------------------------------------------------------

co::Task<IoStatus> File::read(Bytes offset, io::SgView to, co::CancelToken cancel) {
  RingOperation op{running_, uring_, cancel};
  int result = 0;
  if (moves_in_place(to)) {
    io::Transfer transfer{io::Transfer::Way::read, handle_, offset, to, 0, &op.ticket,
                          lane_of_read()};
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
    const std::size_t length = std::min(bounce_size, to.size() - done);
    io::Buffer buffer = co_await buffers_.acquire(length, cancel);
    if (!buffer) {
      co_return -EINTR;
    }
    const int got = co_await uring_.read(handle_, offset + Bytes{done}, buffer.bytes(), ticket,
                                         lane_of_bounced());
    if (got < 0) {
      co_return got;
    }
    const auto moved = static_cast<std::size_t>(got);
    io::copy(to.slice(done, moved), buffer.bytes().first(moved));
    done += moved;
    if (moved < length) {
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
  RingOperation op{running_, uring_, cancel};
  const int flags = durable ? RWF_DSYNC : 0;
  int result = 0;
  if (moves_in_place(from)) {
    LaneChoice::Tick tick = -1;
    const io::Lane lane = lane_of_write(durable, &tick);
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
  co_return write_status(offset, from.size(), result, durable);
}

co::Task<int> File::bounced_write(Bytes offset, io::SgView from, int flags, io::OpTicket* ticket,
                                  co::CancelToken cancel) {
  std::size_t done = 0;
  while (done < from.size()) {
    const std::size_t length = std::min(bounce_size, from.size() - done);
    io::Buffer buffer = co_await buffers_.acquire(length, cancel);
    if (!buffer) {
      co_return done > 0 ? -EINTR : -ECANCELED;
    }
    io::copy(buffer.bytes(), from.slice(done, length));
    const int put = co_await uring_.write(handle_, offset + Bytes{done}, buffer.bytes(), flags,
                                          ticket, lane_of_bounced());
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
    return IoStatus::ok;
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
  RingOperation op{running_, uring_, cancel};
  const int result = co_await uring_.sync(handle_, io::Sync::data, &op.ticket);
  if (result == 0) {
    co_return IoStatus::ok;
  }
  if (result == -ECANCELED || result == -EINTR) {
    co_return IoStatus::cancelled;
  }
  const IoStatus status = status_from_errno(OpKind::flush, -result);
  errors_.report("flush", Bytes{}, file_.geometry.size, std::strerror(-result));
  if (loses_data(result)) {
    log(LogLevel::error,
        "{}: the kernel could not write back some data, so acknowledged writes may be lost; every "
        "flush fails until the LUN is opened again",
        path_);
    lost_ = status;
  }
  co_return status;
}

// --- zero and discard ----------------------------------------------------------------------------

// Sets `missing` if the kernel or the file system does not have this mode at all.
co::Task<int> File::fallocate(int mode, bool& missing, Bytes offset, Bytes length,
                              co::CancelToken cancel) {
  RingOperation op{running_, uring_, cancel};
  const int result =
      co_await uring_.fallocate(handle_, mode | FALLOC_FL_KEEP_SIZE, offset, length, &op.ticket);
  if (result == -EOPNOTSUPP || result == -ENOSYS) {
    missing = true;
    co_return -EOPNOTSUPP;
  }
  // The range is no whole number of the device's blocks. Under cache=buffered the LUN's blocks may
  // be smaller than the device's.
  if (result == -EINVAL && file_.block_device) {
    co_return -EOPNOTSUPP;
  }
  if (result < 0 && result != -ECANCELED && result != -EINTR) {
    errors_.report("zero", offset, length, std::strerror(-result));
  }
  co_return result;
}

co::Task<IoStatus> File::zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                              co::CancelToken cancel) {
  int result = -EOPNOTSUPP;
  if (may_unmap == MayUnmap::yes && file_.capabilities.zero_unmaps && !no_punch_hole_) {
    result = co_await fallocate(FALLOC_FL_PUNCH_HOLE, no_punch_hole_, offset, length, cancel);
  }
  if (result == -EOPNOTSUPP && !no_zero_range_) {
    result = co_await fallocate(FALLOC_FL_ZERO_RANGE, no_zero_range_, offset, length, cancel);
  }
  // After an interruption a part may be zeroed, and `cancelled` promises that nothing was done.
  co_return result == -EINTR ? IoStatus::medium_error : status_from_errno(OpKind::zero, -result);
}

co::Task<IoStatus> File::discard(Bytes offset, Bytes length, co::CancelToken cancel) {
  if (!file_.capabilities.discard) {
    co_return IoStatus::not_supported;
  }
  if (!file_.block_device) {
    if (no_punch_hole_) {
      co_return IoStatus::not_supported;
    }
    const int punched =
        co_await fallocate(FALLOC_FL_PUNCH_HOLE, no_punch_hole_, offset, length, cancel);
    co_return punched == -EINTR ? IoStatus::medium_error
                                : status_from_errno(OpKind::discard, -punched);
  }
  if (no_discard_) {
    co_return IoStatus::not_supported;
  }
  const co::Gate::Guard inside{running_};
  std::function<int()> work = [fd = handle_.fd, from = offset.value(), count = length.value()] {
    std::array<std::uint64_t, 2> range{from, count};
    return ::ioctl(fd, BLKDISCARD, range.data()) == 0 ? 0 : -errno;
  };
  const int result = co_await helper_.run(std::move(work), cancel);
  if (result == -ECANCELED) {
    co_return IoStatus::cancelled;  // it had not begun: a running BLKDISCARD cannot be ended
  }
  if (result == -EINVAL) {
    co_return IoStatus::ok;  // the range holds no whole block of the device: nothing to give back
  }
  if (result == -EOPNOTSUPP) {
    no_discard_ = true;
  } else if (result < 0) {
    errors_.report("discard", offset, length, std::strerror(-result));
  }
  co_return status_from_errno(OpKind::discard, -result);
}

// --- calls on the helper thread ------------------------------------------------------------------

co::Task<IoStatus> File::block_status(Bytes offset, Bytes length, std::size_t limit,
                                      std::vector<Extent>* out) {
  if (!file_.capabilities.block_status) {
    co_return IoStatus::not_supported;
  }
  const co::Gate::Guard inside{running_};
  std::vector<Extent> found;
  std::function<int()> work = [fd = handle_.fd, offset, length, limit, &found,
                               block = file_.geometry.logical_block] {
    return find_extents(fd, offset, length, block, limit, &found);
  };
  const int result = co_await helper_.run(std::move(work));
  if (result < 0) {
    errors_.report("block status", offset, length, std::strerror(-result));
    co_return status_from_errno(OpKind::block_status, -result);
  }
  out->insert(out->end(), found.begin(), found.end());
  co_return IoStatus::ok;
}

co::Task<IoStatus> File::resize(Bytes size) {
  const co::Gate::Guard inside{running_};
  std::function<int()> work = [fd = handle_.fd, size, block_device = file_.block_device] {
    const Result<Bytes> has = size_of(fd, block_device);
    if (!has) {
      return -has.error().errno_value;
    }
    if (has.value() >= size) {
      return 0;
    }
    if (block_device) {
      return -EFBIG;
    }
    const bool grown = ::ftruncate(fd, static_cast<off_t>(size.value())) == 0 && ::fsync(fd) == 0;
    return grown ? 0 : -errno;
  };
  const int result = co_await helper_.run(std::move(work));
  if (result < 0) {
    errors_.report("resize", Bytes{}, size, std::strerror(-result));
    co_return status_from_errno(OpKind::resize, -result);
  }
  file_.geometry.size = size;
  co_return IoStatus::ok;
}

co::Task<void> File::close() {
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

}  // namespace

std::unique_ptr<Backend> make_file(OpenFile file, std::string path, const OpenContext& context) {
  return std::make_unique<File>(std::move(file), std::move(path), context);
}

}  // namespace ballast::backend
