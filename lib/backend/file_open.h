// SPDX-License-Identifier: Apache-2.0
// Opening what a file backend stands on: a regular file or a block device.
//
// Finds out what it is, creates it where it is missing, takes it for ourselves, and measures it:
// what alignment O_DIRECT wants, what can be punched, zeroed and discarded. Every way to fail has
// its own sentence. Blocking calls: not for the executor.
//
// Ownership against a second user
//   regular file  an open-file-description lock (F_OFD_SETLK, fcntl(2)) on the whole file. It also
//                 meets the locks of qemu, and those of a second LUN in this process.
//   block device  O_EXCL: the kernel refuses it while it is mounted, part of a volume group or a
//                 RAID, or open here already.
// Where the file system has no locks, the file is opened all the same, with a warning, and
// capabilities.exclusive is false.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "lib/backend/backend.h"
#include "lib/base/config.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace ballast::backend {

struct OpenFile {
  UniqueFd fd;
  bool block_device = false;
  bool direct = false;                 // O_DIRECT
  std::size_t memory_alignment = 1;    // of each piece's address, for O_DIRECT
  std::uint64_t offset_alignment = 1;  // of each piece's length, for O_DIRECT
  bool in_memory = false;              // no disk behind it
  dev_t device{};                      // st_dev of a regular file
  std::size_t queue_tags = 0;          // of the disk behind a regular file, see FileTraits
  Geometry geometry;
  Capabilities capabilities;
};

// Whether open_file() would work, as far as that can be seen without the size. Changes nothing.
Result<void> check_file(const config::LunConfig& config);

// See factory.h for sizes and errno values.
Result<OpenFile> open_file(const config::LunConfig& config, Bytes size, Bytes logical_block);

}  // namespace ballast::backend
