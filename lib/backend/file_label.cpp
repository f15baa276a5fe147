// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/file_label.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "lib/backend/file_probe.h"
#include "lib/backend/file_take.h"
#include "lib/base/unique_fd.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

constexpr const char* attribute = "user.ballast.log";

Error cannot(const char* act, const std::string& path, int why) {
  return Error{why, fmt::format("{}: the label of its write log cannot be {}: {}", path, act,
                                std::strerror(why))};
}

// --- a regular file ------------------------------------------------------------------------------

Result<std::optional<Label>> read_attribute(const LabelledFile& file) {
  std::array<std::byte, Label::most_bytes> value{};
  const ssize_t got = ::fgetxattr(file.fd, attribute, value.data(), value.size());
  if (got < 0) {
    if (errno == ENODATA || errno == ENOTSUP) {
      return std::optional<Label>{};
    }
    if (errno != ERANGE) {  // it is longer than any label: decode_label() refuses what was read
      return cannot("read", file.path, errno);
    }
  }
  const auto length = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  Result<Label> label = decode_label(std::span{value}.first(length), file.path);
  if (!label) {
    return label.error();
  }
  return std::optional<Label>{std::move(label).value()};
}

Error cannot_write_attribute(const std::string& path, int why) {
  switch (why) {
    case ENOTSUP:
      return Error{ENOTSUP,
                   fmt::format("{} is on a file system without user extended attributes, which "
                               "the label of a write log needs: use ext4, XFS or btrfs, or tmpfs "
                               "of Linux 6.6 or newer, or NFS 4.2",
                               path)};
    case ENOSPC:
    case EDQUOT:
    case E2BIG:
    case ERANGE:
      return Error{ENOSPC, fmt::format("{}: its file system has no room for the label of a write "
                                       "log, an extended attribute: {}",
                                       path, std::strerror(why))};
    default:
      return cannot("written", path, why);
  }
}

Result<void> write_attribute(const LabelledFile& file, const std::optional<Label>& label) {
  if (label.has_value()) {
    const Result<std::vector<std::byte>> bytes = encode_label(*label);
    if (!bytes) {
      return bytes.error();
    }
    if (::fsetxattr(file.fd, attribute, bytes.value().data(), bytes.value().size(), 0) != 0) {
      return cannot_write_attribute(file.path, errno);
    }
  } else if (::fremovexattr(file.fd, attribute) != 0) {
    if (errno == ENOTSUP) {
      return {};
    }
    if (errno != ENODATA) {
      return cannot("removed", file.path, errno);
    }
  }
  return ::fsync(file.fd) == 0 ? Result<void>{} : cannot("made durable", file.path, errno);
}

// --- a block device ------------------------------------------------------------------------------

class OpenDevice final : public LabelDevice {
 public:
  explicit OpenDevice(const LabelledFile& file) : file_{file} {}

  const std::string& path() const override { return file_.path; }
  Result<Bytes> size() override {
    const Result<Bytes> size = size_of(file_.fd, true);
    return size ? size
                : Error{size.error().errno_value,
                        fmt::format("{}: {}", file_.path, size.error().message)};
  }
  Result<void> read(std::uint64_t offset, LabelPage* to) override {
    const ssize_t got =
        ::pread(file_.fd, to->bytes.data(), to->bytes.size(), static_cast<off_t>(offset));
    return got == ssize_t{LabelPage::size} ? Result<void>{}
                                           : cannot("read", file_.path, got < 0 ? errno : EIO);
  }
  Result<void> write(std::uint64_t offset, const LabelPage& from) override {
    const ssize_t put =
        ::pwrite(file_.fd, from.bytes.data(), from.bytes.size(), static_cast<off_t>(offset));
    if (put != ssize_t{LabelPage::size}) {
      return cannot("written", file_.path, put < 0 ? errno : EIO);
    }
    return ::fsync(file_.fd) == 0 ? Result<void>{} : cannot("made durable", file_.path, errno);
  }

 private:
  const LabelledFile& file_;
};

// Whether a block device is at the path; an error if it is no regular file either.
Result<bool> is_block_device(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    return Error{errno, fmt::format("{} cannot be reached: {}", path, std::strerror(errno))};
  }
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    return Error{EINVAL, fmt::format("{} is no regular file and no block device", path)};
  }
  return S_ISBLK(status.st_mode);
}

}  // namespace

Result<std::optional<Label>> read_label(const LabelledFile& file) {
  OpenDevice device{file};
  return file.block_device ? read_label(device, file.lun) : read_attribute(file);
}

Result<void> write_label(const LabelledFile& file, const std::optional<Label>& label) {
  OpenDevice device{file};
  return file.block_device ? write_label(device, file.lun, label) : write_attribute(file, label);
}

Result<void> settle_label(const LabelledFile& file, const Label& label) {
  OpenDevice device{file};
  return settle_label(device, file.lun, label);
}

Result<bool> move_label(const LabelledFile& file, Bytes size, const Label& label) {
  OpenDevice device{file};
  return move_label(device, file.lun, size, label);
}

Result<bool> has_label_behind_lun(const LabelledFile& file) {
  OpenDevice device{file};
  return has_label_behind_lun(device, file.lun);
}

Result<std::optional<Label>> read_label(const std::string& path, Bytes lun) {
  const Result<bool> block_device = is_block_device(path);
  if (!block_device) {
    return block_device.error();
  }
  // O_DIRECT: the page cache may have what was there before another machine wrote to the device.
  const UniqueFd fd{::open(
      path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | (block_device.value() ? O_DIRECT : 0))};
  if (!fd) {
    return Error{errno, fmt::format("{} cannot be opened: {}", path, std::strerror(errno))};
  }
  return read_label(
      {.fd = fd.get(), .block_device = block_device.value(), .path = path, .lun = {.now = lun}});
}

}  // namespace ballast::backend
