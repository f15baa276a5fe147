// SPDX-License-Identifier: Apache-2.0
// StoreIdentity: recognises a file or block device again, even after a reboot.
//
//   regular file   its inode number and its time of birth (statx(2) STATX_BTIME), a pair that a
//                  file system never gives twice. Where no birth is kept (NFS): the inode number
//                  and the type of the file system. The device number does not count, because a
//                  reboot may change it.
//   block device   the first name that sysfs has for it (/sys/dev/block/MAJOR:MINOR/): dm/uuid,
//                  md/uuid, wwid (NVMe), device/wwid (SCSI), serial (virtio), loop/backing_file;
//                  and the number of the partition. Empty if sysfs has none of these.
//
// These calls block: make them in an errand (lib/base/errand.h).
#pragma once

#include <cstdint>
#include <string>

namespace ballast::backend {

struct StoreIdentity {
  bool block_device = false;
  std::uint64_t inode = 0;  // regular
  std::string born;         // regular: "seconds.nanoseconds", or empty
  std::string device;       // block: "wwid:naa.6001405…", or empty
  // From /proc/self/mountinfo, for messages; empty for a block device. is_another() compares the
  // type of two file systems that keep no birth.
  std::string file_system;  // "ext4"
  std::string mount_point;  // "/srv"
  std::string mounted;      // the source of the mount: "/dev/sdb1"

  friend bool operator==(const StoreIdentity&, const StoreIdentity&) = default;
};

// A part that cannot be found out stays empty.
StoreIdentity identify(int fd);

// Returns true only if the two certainly differ. A part that is empty in one of them does not make
// a difference.
bool is_another(const StoreIdentity& then, const StoreIdentity& now);

}  // namespace ballast::backend
