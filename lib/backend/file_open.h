// SPDX-License-Identifier: Apache-2.0
// Opening what a file backend stands on: a regular file or a block device.
//
// Takes it for ourselves (file_take.h), creates it where it is missing and may be, and measures it:
// what alignment O_DIRECT wants, what can be punched, zeroed and discarded. Every way to fail has
// its own sentence. Blocking calls: for an errand (lib/base/errand.h), never for the executor or
// the daemon's main thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "lib/backend/backend.h"
#include "lib/backend/file_take.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace ballast::backend {

struct OpenFile {
  StoreClaim claim;  // let go of after `fd`
  UniqueFd fd;
  StoreIdentity identity;
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
Result<void> check_file(const FileConfig& config, const Expected& expected = {});

// See factory.h for sizes and errno values.
Result<OpenFile> open_file(const FileConfig& config, Bytes size, Bytes logical_block,
                           const Expected& expected = {});

}  // namespace ballast::backend
