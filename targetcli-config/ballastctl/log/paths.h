// SPDX-License-Identifier: Apache-2.0
// What ballastctl log learns of a path before it opens it. A refusal ends in fail()
// (text/output.h).
#pragma once

#include <optional>
#include <string>

#include "lib/base/units.h"
#include "lib/write_log/format.h"

namespace ballast::ctl {

// The absolute path that an argument names: a path, or "file=/srv/vol0.raw" as a configuration
// string has it.
std::string path_of(const std::string& argument);

// The path of the log of a backstore that the kernel has, open or not. Nothing: it has no such
// backstore, or that has no log. A file of this name in the current folder comes first.
std::optional<std::string> configured_log(const std::string& lun);

bool is_block_device(const std::string& path);
// Of the regular file or block device.
Bytes size_at(const std::string& path);

// Whether a LUN or another program has it open.
bool is_in_use(const std::string& path);

// A LUN may have the log open. Then the superblock is of some earlier moment.
write_log::Superblock read_superblock(const std::string& path);
// The size of the log itself, which may be on a larger device.
Bytes log_bytes(const write_log::Superblock& superblock);

}  // namespace ballast::ctl
