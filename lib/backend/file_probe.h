// SPDX-License-Identifier: Apache-2.0
// What an open file or block device wants and can do, measured or asked of the kernel.
//
// Sources: statx(2) STATX_DIOALIGN (Linux 6.1) for the alignment of O_DIRECT, where the kernel says
// nothing a read that either works or does not; BLKSSZGET and BLKPBSZGET; and
// /sys/dev/block/MAJOR:MINOR/queue (Documentation/ABI/stable/sysfs-block). Blocking calls.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

struct FileTraits {
  bool direct = false;                 // what O_DIRECT reads and writes goes around the page cache
  std::uint64_t offset_alignment = 1;  // of offsets and lengths; 1 unless direct
  std::size_t memory_alignment = 1;    // of buffers; 1 unless direct
  std::uint64_t physical_block = 512;  // a power of two, 512 to 64 KiB
  std::uint64_t discard_granularity = 0;  // a power of two; 0: no discard
  bool discard_zeroes = false;            // discarded ranges read as zeros
  bool zero = false;                      // fallocate may zero a range
  bool zero_unmaps = false;               // and give its space back
  bool rotational = false;
  bool in_memory = false;      // on tmpfs or ramfs
  dev_t device{};              // st_dev
  std::size_t queue_tags = 0;  // requests that the queue behind it takes at once, the fewest of all
                               // devices on the way (nr_requests); `unknown_tags` if nobody says
};

// The depth of a SATA disk's queue: no queue is known that takes fewer.
inline constexpr std::size_t unknown_tags = 32;

// `file_system`: its type, as in mountinfo. A hole is punched past the end to see whether it can,
// but not on a file system that is known to: on a frozen one that call sleeps until the thaw, and
// opening is all else that a LUN would wait for.
FileTraits probe(int fd, bool block_device, bool direct, Bytes size, std::string_view file_system);

// How many bytes the file or device has now.
Result<Bytes> size_of(int fd, bool block_device);

}  // namespace ballast::backend
