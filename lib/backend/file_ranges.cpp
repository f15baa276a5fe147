// SPDX-License-Identifier: Apache-2.0
// What the file backend does with ranges: zero, discard, and what they hold; its size and its
// label.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>

#include "lib/backend/extents.h"
#include "lib/backend/file_backend.h"
#include "lib/backend/file_label.h"
#include "lib/backend/file_probe.h"
#include "lib/backend/op_status.h"
#include "lib/backend/ring_operation.h"
#include "lib/base/unique_fd.h"
#include "lib/base/values.h"
#include "lib/io/helper_thread.h"

namespace ballast::backend {
namespace {

// The kernel tells of data that it could not write back once to each opening of a file, and the
// flushes of the LUN's own must hear it.
UniqueFd open_again(int fd) {
  return UniqueFd{::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDWR | O_CLOEXEC)};
}

}  // namespace

// --- zero and discard ----------------------------------------------------------------------------

// Sets `missing` if the kernel or the file system does not have this mode at all.
co::Task<int> File::fallocate(co::Gate& gate, int mode, bool& missing, Bytes offset, Bytes length,
                              co::CancelToken cancel) {
  RingOperation op{gate, uring_, cancel};
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
  if (result < 0 && result != -ECANCELED && result != -EINTR && result != -EBADE) {
    errors_.report("zero", offset, length, std::strerror(-result));
  }
  co_return result;
}

co::Task<IoStatus> File::zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                              co::CancelToken cancel) {
  if (must_verify()) [[unlikely]] {
    (void)co_await access_->verified();
  }
  const Place here = place_of_change();
  if (here.gate == nullptr) [[unlikely]] {
    co_return IoStatus::not_ready;
  }
  // The session must outlive both attempts.
  const co::Gate::Guard inside{*here.gate};
  int result = -EOPNOTSUPP;
  if (may_unmap == MayUnmap::yes && file_.capabilities.zero_unmaps && !no_punch_hole_) {
    result = co_await fallocate(*here.gate, FALLOC_FL_PUNCH_HOLE, no_punch_hole_, offset, length,
                                cancel);
  }
  if (result == -EOPNOTSUPP && !no_zero_range_) {
    result = co_await fallocate(*here.gate, FALLOC_FL_ZERO_RANGE, no_zero_range_, offset, length,
                                cancel);
  }
  if (is_robbed(here, result)) {
    co_return IoStatus::not_ready;
  }
  co_return status_from_errno(OpKind::zero, -result);
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
        co_await fallocate(running_, FALLOC_FL_PUNCH_HOLE, no_punch_hole_, offset, length, cancel);
    co_return status_from_errno(OpKind::discard, -punched);
  }
  if (no_discard_) {
    co_return IoStatus::not_supported;
  }
  if (must_verify()) [[unlikely]] {
    (void)co_await access_->verified();
  }
  const Place here = place_of_change();
  if (here.gate == nullptr) [[unlikely]] {
    co_return IoStatus::not_ready;
  }
  const co::Gate::Guard inside{*here.gate};
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
  if (is_robbed(here, result)) {
    co_return IoStatus::not_ready;
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

co::Task<std::optional<Room>> File::room() {
  const co::Gate::Guard inside{running_};
  Room found{};
  std::function<int()> work = [fd = handle_.fd, &found] {
    struct statvfs system {};
    struct stat file {};
    if (::fstatvfs(fd, &system) != 0 || ::fstat(fd, &file) != 0) {
      return -errno;
    }
    if (system.f_blocks == 0) {
      return -EOPNOTSUPP;  // as ramfs does, which has no end
    }
    constexpr std::uint64_t unit_of_blocks = 512;  // stat(2)
    found.free = Bytes{std::uint64_t{system.f_bavail} * system.f_frsize};
    found.used = Bytes{static_cast<std::uint64_t>(file.st_blocks) * unit_of_blocks};
    return 0;
  };
  const int result = co_await helper_.run(std::move(work));
  co_return result == 0 ? std::optional{found} : std::nullopt;
}

co::Task<IoStatus> File::resize(Bytes size) {
  const co::Gate::Guard inside{running_};
  const co::Mutex::Guard alone = co_await shape_.lock();
  std::string trouble;
  std::function<int()> work = [&] {
    const Result<void> done = give_size(size);
    trouble = done ? "" : done.error().message;
    return done ? 0 : -done.error().errno_value;
  };
  const int result = co_await helper_.run(std::move(work));
  if (result < 0) {
    errors_.report("resize", Bytes{}, size,
                   trouble.empty() ? std::strerror(-result) : trouble.c_str());
    co_return status_from_errno(OpKind::resize, -result);
  }
  file_.geometry.size = size;
  file_.reach = std::max(file_.reach, size);
  co_return IoStatus::ok;
}

// On the helper thread, while nobody else changes size or label.
Result<void> File::give_size(Bytes size) {
  const Result<Bytes> has = size_of(handle_.fd, file_.block_device);
  if (!has) {
    return has.error();
  }
  const UniqueFd own = file_.direct ? UniqueFd{} : open_again(handle_.fd);
  if (!own && !file_.direct) {
    return Error{errno, std::strerror(errno)};
  }
  if (has.value() < size) {
    if (file_.block_device) {
      return Error{EFBIG, fmt::format("the device has {}: make it larger first",
                                      config::format_bytes(has.value()))};
    }
    if (::ftruncate(handle_.fd, static_cast<off_t>(size.value())) != 0 ||
        ::fsync(own ? own.get() : handle_.fd) != 0) {
      return Error{errno, std::strerror(errno)};
    }
  }
  // The label of a device is behind the LUN. That of a shared one belongs to whoever has it.
  const bool moves = file_.block_device && file_.label.has_value() && access_ == nullptr;
  if (moves && size > file_.reach) {
    const Result<bool> moved = backend::move_label(label_of(own), size, *file_.label);
    if (!moved) {
      return moved.error();
    }
    if (!moved.value()) {
      file_.label.reset();
    }
  }
  // Where the label is must be known, so that it is found.
  const Result<void> kept = file_.keep_size ? file_.keep_size(size) : Result<void>{};
  return moves ? kept : Result<void>{};
}

LabelledFile File::label_of(const UniqueFd& own) const {
  return {.fd = own ? own.get() : handle_.fd,
          .block_device = file_.block_device,
          .path = path_,
          .lun = {.now = file_.geometry.size, .reach = file_.reach}};
}

co::Task<Result<void>> File::write_label(std::optional<Label> label) {
  if (must_verify()) [[unlikely]] {
    (void)co_await access_->verified();
  }
  const Place here = place_of_change();
  if (here.gate == nullptr) [[unlikely]] {
    co_return Error{ENOTCONN,
                    path_ + " belongs to another machine, so Ballast does not write its label"};
  }
  const co::Gate::Guard inside{*here.gate};
  const co::Mutex::Guard alone = co_await shape_.lock();
  Result<void> written;
  std::function<int()> work = [&] {
    const UniqueFd own = file_.direct ? UniqueFd{} : open_again(handle_.fd);
    if (!own && !file_.direct) {
      return -errno;
    }
    written = backend::write_label(label_of(own), label);
    return 0;
  };
  const int ran = co_await helper_.run(std::move(work));
  if (ran < 0) {
    co_return Error{
        -ran, fmt::format("{}: nothing was done to write the label of its write log: {}", path_,
                          std::strerror(-ran))};
  }
  if (!written) {
    (void)is_robbed(here, -written.error().errno_value);
  }
  if (written || (label.has_value() && label->names_log())) {  // or it may be there in part
    file_.label = std::move(label);
  }
  co_return std::move(written);
}

}  // namespace ballast::backend
