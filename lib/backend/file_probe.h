// SPDX-License-Identifier: Apache-2.0
// Finds out what an open file or block device requires and what it can do.
//
// Sources: statx(2) STATX_DIOALIGN (Linux 6.1) for the alignment of O_DIRECT, or, where the kernel
// lacks it, test reads of 512, 1024 and 2048 bytes; BLKSSZGET and BLKPBSZGET; and
// /sys/dev/block/MAJOR:MINOR/queue (Documentation/ABI/stable/sysfs-block). These calls block. Any
// thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

struct FileTraits {
  bool direct = false;                    // O_DIRECT reads and writes avoid the page cache
  std::uint64_t offset_alignment = 1;     // of offsets and lengths, in bytes; 1 unless direct
  std::size_t memory_alignment = 1;       // of buffers, in bytes; 1 unless direct
  std::uint64_t physical_block = 512;     // bytes, a power of two, 512 to 64 KiB
  std::uint64_t discard_granularity = 0;  // bytes; 0: no discard
  bool discard_zeroes = false;            // discarded ranges read as zeros
  bool zero = false;                      // fallocate may zero a range
  bool zero_unmaps = false;  // fallocate may also give the space of a zeroed range back
  bool rotational = false;
  bool in_memory = false;  // on tmpfs or ramfs
  dev_t device{};          // st_dev of a regular file
  // Requests that the queue behind a regular file takes at once (nr_requests): the fewest of all
  // devices on the way. `unknown_tags` if sysfs does not say; 0 for a block device.
  std::size_t queue_tags = 0;
};

// The depth of the queue of a SATA disk. No disk is known whose queue takes fewer requests.
inline constexpr std::size_t unknown_tags = 32;

// `file_system`: its type, as in /proc/self/mountinfo. The probe punches a hole beyond the end of a
// regular file to see whether the file system can do that. It does not try on a file system that is
// known to punch holes: on a frozen one this call sleeps until the thaw, and the LUN could not open
// until then.
Result<FileTraits> probe(int fd, bool block_device, bool direct, Bytes size,
                         std::string_view file_system);

// The size of the file or device now, in bytes.
Result<Bytes> size_of(int fd, bool block_device);

}  // namespace ballast::backend
