// SPDX-License-Identifier: Apache-2.0
// The label (label.h) of a regular file or a block device.
//
// regular file  the extended attribute user.ballast.log. ext4, XFS and btrfs have such attributes.
//               tmpfs has them since Linux 6.6, NFS since Linux 5.9 with version 4.2 of the
//               protocol on both sides, and of FUSE it depends on the server. Where there are none,
//               no label can be written, so none is there either.
// block device  two pages behind the LUN's end: device_label.h.
//
// What is written is durable when the call returns: fsync(2), because fdatasync(2) need not write
// an attribute (f2fs and gfs2 once forgot it even so).
//
// These calls block: make them on a helper thread, in an errand, or in a tool.
#pragma once

#include <optional>
#include <string>

#include "lib/backend/device_label.h"
#include "lib/backend/label.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

// An open file or device.
struct LabelledFile {
  int fd;  // to write a label: open for reading and writing
  bool block_device;
  const std::string& path;  // for messages
  LunSizes lun{};           // of a device
};

Result<std::optional<Label>> read_label(const LabelledFile& file);
// Without a label, takes the one that is there away. ENOTSUP: the file system has no such
// attributes; ENOSPC: there is no room.
Result<void> write_label(const LabelledFile& file, const std::optional<Label>& label);

// Of a device, as in device_label.h.
Result<void> settle_label(const LabelledFile& file, const Label& label);
Result<bool> move_label(const LabelledFile& file, Bytes size, const Label& label);
Result<bool> has_label_behind_lun(const LabelledFile& file);

// A LUN may have the file or device open meanwhile.
Result<std::optional<Label>> read_label(const std::string& path, Bytes lun);

}  // namespace ballast::backend
