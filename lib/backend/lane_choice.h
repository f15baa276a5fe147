// SPDX-License-Identifier: Apache-2.0
// LaneChoice: whether a read or write of a file may be submitted by the thread that answers
// commands, or goes through the store thread (lib/io/store_thread.h), which may sleep.
//
// The store thread costs two changes of threads, half as much again as an operation on a fast disk.
// So it is used only where submission could sleep:
//
// Files in memory (tmpfs): never. There is no store behind them.
//
// Block devices: never. The kernel honours RWF_NOWAIT down to the tags of the queue. What it
// refuses goes through the store thread.
//
// Files under O_DIRECT: where the store is not known to be well. File systems look at RWF_NOWAIT
// for their own locks and blocks, but not for the tags of the disk's queue (iomap sets no
// REQ_NOWAIT). A tag can be had where the store ended an operation in the last `lease` and this LUN
// has no more than its share of the tags under way. And ext4 waits for its journal when a write
// changes the file's time of modification, which is the first write in each tick of the kernel's
// clock. So that one goes through the store thread, and the tick's other writes, after it has
// ended, need no journal. ARCHITECTURE.md tells what is left.
//
// Files in the page cache: always. Answers come from the cache while the disk is frozen, so nothing
// shows that the next operation can be begun.
//
// Durable writes, and what is neither read nor write, always go through the store thread.
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
  // Time by the clock that a file's times are taken from, CLOCK_REALTIME_COARSE, in ns.
  using Tick = std::int64_t;

  // A tenth of what a rotating disk needs for the operations of a full queue, a hundred times what
  // a fast one needs for one.
  static constexpr Nanoseconds lease = std::chrono::milliseconds{10};

  explicit LaneChoice(Kind kind) : kind_{kind} {}

  // For a read that begins now, with `under_way` of this LUN's, itself included.
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
  // The same for a write. *tick: read by `clock`, where it matters, and to be handed to wrote().
  io::Lane write(TimePoint now, std::size_t under_way, const QueueShare& share, Tick (*clock)(),
                 Tick* tick) const {
    const io::Lane lane = read(now, under_way, share);
    if (kind_ != Kind::direct_file) {
      return lane;
    }
    *tick = clock();
    return *tick == marked_ ? lane : io::Lane::store;
  }

  // A read, a write that began at `tick`, has ended well.
  void has_read(TimePoint now) { last_end_ = now; }
  void has_written(TimePoint now, Tick tick) {
    last_end_ = now;
    marked_ = tick;
  }
  // The kernel refused to begin one at once: EAGAIN or EOPNOTSUPP.
  void refused(int errno_value) { knows_nowait_ = knows_nowait_ && errno_value != EOPNOTSUPP; }

 private:
  Kind kind_;
  bool knows_nowait_ = true;
  TimePoint last_end_{Nanoseconds::min() / 2};
  Tick marked_ = -1;  // of the file's time of modification
};

}  // namespace ballast::backend
