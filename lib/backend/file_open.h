// SPDX-License-Identifier: Apache-2.0
// Opens the store of a file backend: a regular file or a block device.
//
// open_file() takes the store for this process (file_take.h), which creates it if it is missing and
// may be created. Then it measures the store (file_probe.h): which alignment O_DIRECT needs, and
// whether ranges can be punched, zeroed and discarded. And it reads the store's label
// (file_label.h): without a log, a store whose label names one is refused. Each cause of failure
// has its own sentence. These calls block: make them in an errand (lib/base/errand.h), never on the
// executor or on the daemon's main thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "lib/backend/backend.h"
#include "lib/backend/file_take.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace ballast::backend {

struct OpenFile {
  StoreClaim claim;  // declared before `fd`, so it is released after `fd` is closed
  UniqueFd fd;
  StoreIdentity identity;
  bool block_device = false;
  bool direct = false;                 // opened with O_DIRECT, and this avoids the page cache
  std::size_t memory_alignment = 1;    // of the address of each piece, in bytes; 1 unless direct
  std::uint64_t offset_alignment = 1;  // of offsets and lengths, in bytes; 1 unless direct
  bool in_memory = false;              // on tmpfs or ramfs: no disk behind it
  dev_t device{};                      // st_dev of a regular file
  std::size_t queue_tags = 0;          // of the disk behind a regular file, see FileTraits
  Geometry geometry;
  Capabilities capabilities;
  std::optional<Label> label{};
  Bytes reach{};  // of the LUN (store_record.h)
  // Writes into the store's record that the LUN has another size now. It blocks. Empty: nothing is
  // remembered.
  std::function<Result<void>(Bytes size)> keep_size{};
};

// Checks whether open_file() would work, as far as possible without the size. Changes nothing.
Result<void> check_file(const FileConfig& config, const Expected& expected = {});

// Sizes are in bytes. factory.h has the meaning of sizes and of errno values.
Result<OpenFile> open_file(const FileConfig& config, Bytes size, Bytes logical_block,
                           const Expected& expected = {});

}  // namespace ballast::backend
