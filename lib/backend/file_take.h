// SPDX-License-Identifier: Apache-2.0
// Takes the regular file or block device at a path for this process. A file that is missing is
// created if it may be. A store that is not the expected one is never taken without notice.
//
// An empty disk never takes the place of a known one
//   A file is created only if the path was never the store of a LUN (`record`), and only while an
//   operator makes the LUN (`creation`): not when the daemon starts, and not for a LUN of a saved
//   configuration. A file that is not the recorded one (store_identity.h) is taken with a warning
//   if it holds data, as a file restored from a backup does. It is refused if it holds no data,
//   because it may belong to an empty mount point. A device that is not the recorded one is
//   refused. All these refusals have errno ENOENT, as for a missing file.
//
// Symbolic links that do not belong to root or to the daemon's user are not followed
// (trusted_path.h).
//
// Ownership against a second user
//   regular file  an open-file-description lock (F_OFD_SETLK, fcntl(2)) on the whole file. It also
//                 conflicts with the locks of qemu, and with those of a second LUN in this process.
//   block device  O_EXCL: the kernel refuses to open a device that is mounted, part of a volume
//                 group or a RAID, or open here already.
//   both          a claim in this process (store_register.h), whether or not there are locks.
// If the file system has no locks, the file is opened all the same, with a warning.
//
// These calls block: make them in an errand (lib/base/errand.h).
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
  at_start,    // not allowed: the daemon is starting
  saved,       // not allowed: a saved configuration has a LUN on this path
  unreadable,  // not allowed: the record cannot be read, so there may be one
};

// What Ballast knows of a store before it opens it.
struct Expected {
  Creation creation = Creation::allowed;
  std::optional<StoreRecord> record;
  std::string record_file;  // the path of the record, for messages
  bool has_log = false;     // as in StoreOrder
};

struct Taken {
  UniqueFd fd;
  StoreClaim claim;
  StoreIdentity identity;
  bool block_device = false;
  bool exclusive = false;  // a lock, or O_EXCL, keeps other programs out
};

// Opens the store, takes it and checks its identity. A missing file is created with `size` bytes.
// The error's message is one sentence for the operator; factory.h has its errno values.
Result<Taken> take_store(const FileConfig& config, Bytes size, const Expected& expected);

// Checks whether take_store() would work, as far as possible without the size. Changes nothing.
// Returns the store, which is ours until the caller lets go of it; nothing if it is missing and may
// be created.
Result<std::optional<Taken>> check_store(const FileConfig& config, const Expected& expected);

}  // namespace ballast::backend
