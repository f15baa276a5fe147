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
constexpr std::uint64_t page = 4096;

// O_DIRECT wants aligned memory.
struct alignas(page) Page {
  std::array<std::byte, page> bytes{};
};

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

// Where a label may be, in the order in which they are written. Empty: there is no room.
Result<std::vector<std::uint64_t>> places(const LabelledFile& file) {
  const Result<Bytes> size = size_of(file.fd, true);
  if (!size) {
    return Error{size.error().errno_value, fmt::format("{}: {}", file.path, size.error().message)};
  }
  const std::uint64_t end = size.value().value() / page * page;
  const std::uint64_t first = (file.lun.value() + page - 1) / page * page;
  std::vector<std::uint64_t> all;
  if (end >= first + page) {
    all.push_back(end - page);
    if (first != end - page) {
      all.push_back(first);
    }
  }
  return all;
}

Result<void> read_page(const LabelledFile& file, std::uint64_t offset, Page* to) {
  const ssize_t got = ::pread(file.fd, to->bytes.data(), page, static_cast<off_t>(offset));
  return got == ssize_t{page} ? Result<void>{} : cannot("read", file.path, got < 0 ? errno : EIO);
}

// A page that is made durable before this returns.
Result<void> write_page(const LabelledFile& file, std::uint64_t offset, const Page& from) {
  const ssize_t put = ::pwrite(file.fd, from.bytes.data(), page, static_cast<off_t>(offset));
  if (put != ssize_t{page}) {
    return cannot("written", file.path, put < 0 ? errno : EIO);
  }
  return ::fsync(file.fd) == 0 ? Result<void>{} : cannot("made durable", file.path, errno);
}

// Both pages have a label if the writing of the second one was cut off. Then the later owner's
// counts; of the same owner the one that names a log, which can only be too careful.
bool counts_more(const Label& one, const Label& other) {
  return std::pair{one.owner, one.names_log()} > std::pair{other.owner, other.names_log()};
}

Result<std::optional<Label>> read_pages(const LabelledFile& file) {
  const Result<std::vector<std::uint64_t>> all = places(file);
  if (!all) {
    return all.error();
  }
  std::optional<Label> found;
  std::optional<Error> trouble;
  Page memory;
  for (const std::uint64_t place : all.value()) {
    if (const Result<void> read = read_page(file, place, &memory); !read) {
      return read.error();
    }
    if (!begins_label(memory.bytes)) {
      continue;
    }
    Result<Label> label = decode_label(memory.bytes, file.path);
    if (!label) {
      if (label.error().errno_value == EPROTONOSUPPORT) {
        return label.error();
      }
      trouble = label.error();
    } else if (offset_of_label(memory.bytes) == place &&
               (!found.has_value() || counts_more(label.value(), *found))) {
      found = std::move(label).value();
    }
  }
  if (!found.has_value() && trouble.has_value()) {
    return *trouble;
  }
  return found;
}

Result<void> remove_pages(const LabelledFile& file, const std::vector<std::uint64_t>& all) {
  Page memory;
  for (const std::uint64_t place : all) {
    Result<void> done = read_page(file, place, &memory);
    if (done && begins_label(memory.bytes)) {
      done = write_page(file, place, Page{});
    }
    if (!done) {
      return done;
    }
  }
  return {};
}

Result<void> write_pages(const LabelledFile& file, const std::optional<Label>& label) {
  const Result<std::vector<std::uint64_t>> all = places(file);
  if (!all) {
    return all.error();
  }
  if (!label.has_value()) {
    return remove_pages(file, all.value());
  }
  if (all.value().empty()) {
    return Error{ENOSPC,
                 fmt::format("{} has no room for the label of a write log behind the LUN of {}: "
                             "make the LUN smaller than the device by 1MiB at least",
                             file.path, config::format_bytes(file.lun))};
  }
  for (const std::uint64_t place : all.value()) {
    const Result<std::vector<std::byte>> bytes = encode_label(*label, place);
    if (!bytes) {
      return bytes.error();
    }
    Page memory;
    std::copy(bytes.value().begin(), bytes.value().end(), memory.bytes.begin());
    if (Result<void> written = write_page(file, place, memory); !written) {
      return written;
    }
  }
  return {};
}

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
  return file.block_device ? read_pages(file) : read_attribute(file);
}

Result<void> write_label(const LabelledFile& file, const std::optional<Label>& label) {
  return file.block_device ? write_pages(file, label) : write_attribute(file, label);
}

Result<bool> has_label_behind_lun(const LabelledFile& file) {
  const Result<std::vector<std::uint64_t>> all = places(file);
  if (!all) {
    return all.error();
  }
  if (all.value().empty()) {
    return false;
  }
  const std::uint64_t first = all.value().back();
  Page memory;
  const Result<void> read = read_page(file, first, &memory);
  if (!read) {
    return read.error();
  }
  return begins_label(memory.bytes) && offset_of_label(memory.bytes) == first;
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
      {.fd = fd.get(), .block_device = block_device.value(), .path = path, .lun = lun});
}

Result<void> write_label(const std::string& path, Bytes lun, const std::optional<Label>& label) {
  if (const Result<bool> block_device = is_block_device(path); !block_device) {
    return block_device.error();
  }
  const FileConfig config{.path = path, .cache = CacheMode::buffered};
  Expected there;
  there.creation = Creation::at_start;
  const Result<Taken> taken = take_store(config, lun, there);
  if (!taken) {
    return taken.error();
  }
  return write_label({.fd = taken.value().fd.get(),
                      .block_device = taken.value().block_device,
                      .path = path,
                      .lun = lun},
                     label);
}

}  // namespace ballast::backend
