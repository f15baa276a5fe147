// SPDX-License-Identifier: Apache-2.0
// StoreIdentity: by what a file or block device is known again, after a reboot too.
//
//   regular file   its inode number and the moment of its birth (statx(2) STATX_BTIME), which a
//                  file system never gives twice; where no birth is kept (NFS), the inode number
//                  and the file system's type. The device number is left out: it changes over
//                  reboots.
//   block device   what sysfs knows it by (/sys/dev/block/MAJOR:MINOR/): dm/uuid, md/uuid, wwid
//                  (NVMe), device/wwid (SCSI), serial (virtio), loop/backing_file, with the number
//                  of the partition; nothing where there is none of these.
//
// Blocking calls: for an errand (lib/base/errand.h).
#pragma once

#include <cstdint>
#include <string>

namespace ballast::backend {

struct StoreIdentity {
  bool block_device = false;
  std::uint64_t inode = 0;  // regular
  std::string born;         // regular: "seconds.nanoseconds", or nothing
  std::string device;       // block: "wwid:naa.6001405…", or nothing
  // The file system, for people, and its type for the comparison. /proc/self/mountinfo.
  std::string file_system;  // "ext4"
  std::string mount_point;  // "/srv"
  std::string mounted;      // what is mounted there: "/dev/sdb1"

  friend bool operator==(const StoreIdentity&, const StoreIdentity&) = default;
};

StoreIdentity identify(int fd);

// Whether they are two, for certain. What is not known differs from nothing.
bool is_another(const StoreIdentity& then, const StoreIdentity& now);

}  // namespace ballast::backend
