// SPDX-License-Identifier: Apache-2.0
// LaneChoice: decides whether the thread that answers commands may submit a read or write of a
// file, or whether the store thread (lib/io/store_thread.h) must, which may sleep.
//
// Going through the store thread costs two changes of threads, which is half as much again as an
// operation on a fast disk. So an operation goes through it only if its submission could sleep:
//
// Files in memory (tmpfs): never. No store is behind them that could hang.
//
// Block devices: never at first. The kernel honours RWF_NOWAIT down to the tags of the disk's
// queue, and an operation that it refuses to begin at once then goes through the store thread. A
// device that has no RWF_NOWAIT (EOPNOTSUPP) uses the store thread from then on.
//
// Files under O_DIRECT: if the store is not known to be well. File systems honour RWF_NOWAIT for
// their own locks and blocks, but not for the tags of the disk's queue (iomap sets no REQ_NOWAIT).
// A tag is free if the store ended an operation within the last `lease` and if this LUN has no more
// than its share of the tags in use. Besides, ext4 waits for its journal when a write changes the
// file's modification time, which is the first write in each tick of the kernel's clock. So the
// first write of a tick goes through the store thread. Once it has ended, further writes in the
// same tick need no journal. ARCHITECTURE.md describes the cases that remain. Without RWF_NOWAIT,
// the rule is as for block devices.
//
// Files in the page cache: always. Reads are answered from the cache while the disk is frozen, so a
// success does not show that the next operation can begin at once.
//
// The caller sends durable writes, and all that is neither read nor write, through the store
// thread.
//
// Driving thread only.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "lib/backend/queue_share.h"
#include "lib/base/units.h"
#include "lib/io/uring.h"

namespace ballast::backend {

class LaneChoice {
 public:
  enum class Kind : std::uint8_t { in_memory, block_device, direct_file, cached_file };
  // A time in ns of CLOCK_REALTIME_COARSE, the clock that gives files their times.
  using Tick = std::int64_t;

  // A tenth of the time that a rotating disk needs for a full queue of operations, and a hundred
  // times as long as a fast disk needs for one operation.
  static constexpr Nanoseconds lease = std::chrono::milliseconds{10};

  explicit LaneChoice(Kind kind) : kind_{kind} {}

  // The lane of a read that begins now. `under_way`: operations of this LUN on the store, this one
  // included.
  io::Lane read(TimePoint now, std::size_t under_way, const QueueShare& share) const {
    switch (kind_) {
      case Kind::in_memory:
        return io::Lane::here;
      case Kind::block_device:
        return knows_nowait_ ? io::Lane::at_once : io::Lane::store;
      case Kind::direct_file:
        return knows_nowait_ && now - last_end_ <= lease && under_way <= share.operations()
                   ? io::Lane::at_once
                   : io::Lane::store;
      case Kind::cached_file:
        break;
    }
    return io::Lane::store;
  }
  // The same for a write. For a file under O_DIRECT it sets *tick to the time on `clock`; pass that
  // to has_written(). For other files *tick is unchanged.
  io::Lane write(TimePoint now, std::size_t under_way, const QueueShare& share, Tick (*clock)(),
                 Tick* tick) const {
    const io::Lane lane = read(now, under_way, share);
    if (kind_ != Kind::direct_file) {
      return lane;
    }
    *tick = clock();
    return *tick == marked_ ? lane : io::Lane::store;
  }

  // A read has ended well; a write that began at `tick` has ended well.
  void has_read(TimePoint now) { last_end_ = now; }
  void has_written(TimePoint now, Tick tick) {
    last_end_ = now;
    marked_ = tick;
  }
  // The kernel refused to begin an operation at once, with EAGAIN or EOPNOTSUPP (positive).
  void refused(int errno_value) { knows_nowait_ = knows_nowait_ && errno_value != EOPNOTSUPP; }

 private:
  Kind kind_;
  bool knows_nowait_ = true;
  TimePoint last_end_{Nanoseconds::min() / 2};
  Tick marked_ = -1;  // the tick that the file's modification time has; -1: not known
};

}  // namespace ballast::backend
