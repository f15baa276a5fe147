// SPDX-License-Identifier: Apache-2.0
// Reads the superblock of a log at a path, without opening the log: a LUN may have it open.
//
// This blocks: call it in an errand, or in a tool.
#pragma once

#include <optional>
#include <string>

#include "lib/base/result.h"
#include "lib/write_log/format.h"

namespace ballast::write_log {

// The newer superblock; nothing: no log is there. EPROTONOSUPPORT: the log is of a version that is
// not known here.
Result<std::optional<Superblock>> superblock_at(const std::string& path);

// EEXIST: the log at `path` is one that the store of the LUN does not name.
Error another_log(const std::string& path, const Superblock& log);

// The error of a system call on a log's path, from errno. `what`: "it cannot be opened".
Error failed_at(const std::string& path, const char* what);

}  // namespace ballast::write_log
