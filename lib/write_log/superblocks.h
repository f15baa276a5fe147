// SPDX-License-Identifier: Apache-2.0
// The two superblocks of a log: the newest is read, the other place is written.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/result.h"
#include "lib/co/mutex.h"
#include "lib/co/task.h"
#include "lib/write_log/device.h"
#include "lib/write_log/format.h"

namespace ballast::write_log {

class Superblocks {
 public:
  explicit Superblocks(Device& device)
      : device_{device}, writing_{device.executor(), "the log's superblock"} {}
  co::Executor& executor() { return device_.executor(); }

  // Reads both places. The error says what is wrong with both.
  co::Task<Result<Superblock>> read();

  // Knows what `other` has read and written.
  void go_on_from(const Superblocks& other) {
    slot_sequence_ = other.slot_sequence_;
    next_is_b_ = other.next_is_b_;
  }

  // Writes `superblock` over the older one, with the next slot sequence. When it ends with ok, the
  // superblock is durable, and so is everything that was written before. One at a time, first
  // come, first served.
  co::Task<IoStatus> write(Superblock superblock);

 private:
  Device& device_;
  co::Mutex writing_;
  std::uint64_t slot_sequence_ = 0;
  bool next_is_b_ = false;
};

}  // namespace ballast::write_log
