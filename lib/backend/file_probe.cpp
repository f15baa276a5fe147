// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/file_probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace ballast::backend {
namespace {

constexpr std::uint64_t smallest_block = 512;
// A larger number is cut to this. Network file systems report the size of a good transfer as
// st_blksize; that is no block.
constexpr std::uint64_t largest_block = 64 << 10;

std::uint64_t as_block(std::uint64_t bytes) {
  return std::bit_floor(std::clamp(bytes, smallest_block, largest_block));
}

// dm-thin, dm-cache and RAID have pieces of any number of blocks. Beyond this no initiator could
// discard a whole one, because an UNMAP has its limits, too.
std::uint64_t as_granularity(std::uint64_t bytes) {
  constexpr std::uint64_t largest = 256 << 20;
  return std::clamp(bytes, smallest_block, largest);
}

// Reads one number in the queue folder of a device. A partition has no such folder; its disk has
// it.
std::optional<std::uint64_t> queue_limit(dev_t device, const char* name) {
  for (const char* folder : {"queue", "../queue"}) {
    const std::string path =
        fmt::format("/sys/dev/block/{}:{}/{}/{}", major(device), minor(device), folder, name);
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{std::fopen(path.c_str(), "re"),
                                                               &std::fclose};
    unsigned long long value = 0;
    if (file != nullptr && std::fscanf(file.get(), "%llu", &value) == 1) {
      return value;
    }
  }
  return std::nullopt;
}

// Lowers *fewest to the fewest tags (nr_requests) of all queues that an operation on a device may
// have to wait for. `folder` is the device's folder in sysfs. A device-mapper or RAID device passes
// an operation on to the devices below it in the thread that submits, down to the disks.
void find_tags(const std::filesystem::path& folder, unsigned depth, std::size_t* fewest) {
  constexpr unsigned deepest = 8;
  std::error_code none;
  for (const char* queue : {"queue/nr_requests", "../queue/nr_requests"}) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{
        std::fopen((folder / queue).c_str(), "re"), &std::fclose};
    unsigned long long value = 0;
    if (file != nullptr && std::fscanf(file.get(), "%llu", &value) == 1 && value > 0) {
      *fewest = std::min(*fewest, static_cast<std::size_t>(value));
      break;
    }
  }
  if (depth < deepest) {
    for (const auto& below : std::filesystem::directory_iterator{folder / "slaves", none}) {
      find_tags(below.path(), depth + 1, fewest);
    }
  }
}

std::size_t tags_of(dev_t device) {
  constexpr std::size_t none = ~std::size_t{0};
  std::size_t fewest = none;
  const std::string path = fmt::format("/sys/dev/block/{}:{}", major(device), minor(device));
  std::error_code failed;
  const std::filesystem::path folder = std::filesystem::canonical(path, failed);
  if (!failed) {
    find_tags(folder, 0, &fewest);
  }
  return fewest == none ? unknown_tags : fewest;
}

// Whether the file accepts an O_DIRECT read of `unit` bytes at offset `unit`.
bool read_works(int fd, std::uint64_t unit) {
  constexpr std::size_t most = 4096;
  void* memory = nullptr;
  if (::posix_memalign(&memory, most, most) != 0) {
    return false;
  }
  const ssize_t got = ::pread(fd, memory, unit, static_cast<off_t>(unit));
  const bool works = got >= 0 || errno != EINVAL;
  std::free(memory);
  return works;
}

void probe_alignment(int fd, Bytes size, FileTraits& traits) {
#ifdef STATX_DIOALIGN
  struct statx status {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
      (status.stx_mask & STATX_DIOALIGN) != 0) {
    // 0: the file has no direct I/O, although open(2) accepted O_DIRECT (ext4 with data=journal).
    traits.direct = status.stx_dio_offset_align != 0;
    traits.offset_alignment = std::max(1U, status.stx_dio_offset_align);
    traits.memory_alignment = std::max(1U, status.stx_dio_mem_align);
    return;
  }
#endif
  traits.direct = true;
  traits.offset_alignment = 4096;
  for (std::uint64_t unit = smallest_block; unit < 4096; unit *= 2) {
    if (size.value() >= 2 * unit && read_works(fd, unit)) {
      traits.offset_alignment = unit;
      break;
    }
  }
  traits.memory_alignment = traits.offset_alignment;
}

void probe_block_device(int fd, dev_t device, FileTraits& traits) {
  int logical = 0;
  unsigned physical = 0;
  if (::ioctl(fd, BLKSSZGET, &logical) == 0 && traits.offset_alignment > 1) {
    traits.offset_alignment =
        std::max(traits.offset_alignment, static_cast<std::uint64_t>(logical));
  }
  if (::ioctl(fd, BLKPBSZGET, &physical) == 0) {
    traits.physical_block = as_block(physical);
  }
  if (queue_limit(device, "discard_max_bytes").value_or(0) > 0) {
    traits.discard_granularity =
        as_granularity(queue_limit(device, "discard_granularity").value_or(0));
  }
  // fallocate on a block device (Linux 4.9, block/fops.c): ZERO_RANGE always works, by writing
  // zeros if necessary. PUNCH_HOLE is WRITE ZEROES with unmapping, if the device has that.
  traits.zero = true;
  traits.zero_unmaps = traits.discard_granularity > 0 &&
                       queue_limit(device, "write_zeroes_max_bytes").value_or(0) > 0;
}

bool punches_holes(std::string_view file_system) {
  constexpr std::array<std::string_view, 4> known{"ext4", "xfs", "btrfs", "tmpfs"};
  return std::find(known.begin(), known.end(), file_system) != known.end();
}

void probe_regular(int fd, const struct stat& status, std::string_view file_system,
                   FileTraits& traits) {
  traits.physical_block = as_block(static_cast<std::uint64_t>(status.st_blksize));
  // A hole beyond the end loses no data, and shows whether the file system can punch holes.
  const off_t unit = static_cast<off_t>(traits.physical_block);
  const off_t past_the_end = (status.st_size / unit + 1) * unit;
  if (punches_holes(file_system) ||
      ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, past_the_end, unit) == 0) {
    traits.discard_granularity = traits.physical_block;
    traits.discard_zeroes = true;
    traits.zero = true;
    traits.zero_unmaps = true;
  }
}

}  // namespace

Result<FileTraits> probe(int fd, bool block_device, bool direct, Bytes size,
                         std::string_view file_system) {
  FileTraits traits;
  struct stat status {};
  if (::fstat(fd, &status) != 0) {
    const int why = errno;
    return Error{why, fmt::format("it cannot be examined: {}", std::strerror(why))};
  }
  if (direct) {
    probe_alignment(fd, size, traits);
  }
  if (block_device) {
    probe_block_device(fd, status.st_rdev, traits);
  } else {
    probe_regular(fd, status, file_system, traits);
    traits.in_memory = file_system == "tmpfs" || file_system == "ramfs";
    traits.device = status.st_dev;
    traits.queue_tags = tags_of(status.st_dev);
  }
  traits.physical_block = std::max(traits.physical_block, traits.offset_alignment);
  const dev_t device = block_device ? status.st_rdev : status.st_dev;
  traits.rotational = queue_limit(device, "rotational").value_or(0) != 0;
  return traits;
}

Result<Bytes> size_of(int fd, bool block_device) {
  if (block_device) {
    std::uint64_t bytes = 0;
    if (::ioctl(fd, BLKGETSIZE64, &bytes) == 0) {
      return Bytes{bytes};
    }
  } else {
    struct stat status {};
    if (::fstat(fd, &status) == 0) {
      return Bytes{static_cast<std::uint64_t>(status.st_size)};
    }
  }
  const int why = errno;
  return Error{why, fmt::format("its size cannot be read: {}", std::strerror(why))};
}

}  // namespace ballast::backend
