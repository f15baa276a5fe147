// SPDX-License-Identifier: Apache-2.0
// QueueShare: the number of operations that one LUN may have under way on a disk before its threads
// stop submitting directly and use the store thread (lane_choice.h).
//
// Half of the tags of the disk's queue are divided among the LUNs of this process on the same
// device. The other half is for the file system and for other programs. Any thread.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace ballast::backend {

class QueueShare {
 public:
  // `device`: st_dev of a file. `tags`: those of the device's queue, see FileTraits (file_probe.h).
  QueueShare(dev_t device, std::size_t tags);
  ~QueueShare();
  QueueShare(const QueueShare&) = delete;
  QueueShare& operator=(const QueueShare&) = delete;

  // The share, at least 1. It changes when LUNs on the device are opened and closed.
  std::size_t operations() const;

 private:
  struct Device;
  Device* device_;
  std::size_t tags_;
};

}  // namespace ballast::backend
