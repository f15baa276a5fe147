// SPDX-License-Identifier: Apache-2.0
// Taking what stands at a path for ourselves: a regular file or a block device, created where it is
// missing and may be, and never another than the one that is expected.
//
// An empty disk never takes the place of a known one
//   A file is created only where the path was never the store of a LUN (`record`), and while the
//   LUN is being made by somebody (`creation`): not when the daemon starts, nor for a LUN out of a
//   saved configuration. A file that is not the one of the record (store_identity.h) is taken with
//   a warning if it holds data, as one that was restored from a backup does, and refused if it
//   holds none: it may be what an empty mount point has. A device that is not the one of the record
//   is refused. What is refused so has errno ENOENT, like a missing file.
//
// Ownership against a second user
//   regular file  an open-file-description lock (F_OFD_SETLK, fcntl(2)) on the whole file. It also
//                 meets the locks of qemu, and those of a second LUN in this process.
//   block device  O_EXCL: the kernel refuses it while it is mounted, part of a volume group or a
//                 RAID, or open here already.
//   both          a claim in this process (store_register.h), whether or not there are locks.
// Where the file system has no locks, the file is opened all the same, with a warning.
//
// Blocking calls: for an errand (lib/base/errand.h).
#pragma once

#include <optional>
#include <string>

#include "lib/backend/file_config.h"
#include "lib/backend/store_record.h"
#include "lib/backend/store_register.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace ballast::backend {

enum class Creation {
  allowed,
  at_start,    // not: the daemon is starting
  saved,       // not: a saved configuration has a LUN on this path
  unreadable,  // not: whether there is a record cannot be told
};

// What is known of a store before it is opened.
struct Expected {
  Creation creation = Creation::allowed;
  std::optional<StoreRecord> record;
  std::string record_file;  // where it is, for what is said
};

struct Taken {
  UniqueFd fd;
  StoreClaim claim;
  StoreIdentity identity;
  bool block_device = false;
  bool exclusive = false;  // a lock, or O_EXCL
};

Result<Taken> take_store(const FileConfig& config, Bytes size, const Expected& expected);

// Whether take_store() would work, as far as that can be seen without the size. Changes nothing.
Result<void> check_store(const FileConfig& config, const Expected& expected);

}  // namespace ballast::backend
