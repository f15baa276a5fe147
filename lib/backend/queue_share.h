// SPDX-License-Identifier: Apache-2.0
// QueueShare: how many of a disk's tags one LUN may have under way before its threads stop
// submitting by themselves (lane_choice.h).
//
// Half of the tags are divided among the LUNs of this process on the same device; the other half is
// for the file system and everybody else. Any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace ballast::backend {

class QueueShare {
 public:
  // `device`: st_dev of a file. `tags`: of the device's queue, see file_probe.h.
  QueueShare(dev_t device, std::size_t tags);
  ~QueueShare();
  QueueShare(const QueueShare&) = delete;
  QueueShare& operator=(const QueueShare&) = delete;

  // At least 1. Changes when LUNs on the device come and go.
  std::size_t operations() const;

 private:
  struct Device;
  Device* device_;
  std::size_t tags_;
};

}  // namespace ballast::backend
