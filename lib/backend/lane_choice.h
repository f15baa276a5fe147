// SPDX-License-Identifier: Apache-2.0
// LaneChoice: whether a read or write of a file may be submitted by the thread that answers
// commands, or goes through the store thread (lib/io/store_thread.h), which may sleep.
//
// The store thread costs two changes of threads, half as much again as an operation on a fast disk.
// So it is used only where submission could sleep:
//   files in memory (tmpfs)  never: there is no store behind them
//   block devices            never: the kernel honours RWF_NOWAIT down to the tags of the queue;
//   what
//                            it refuses goes through the store thread
//   files under O_DIRECT     where the store is not known to be well. File systems look at
//   RWF_NOWAIT
//                            for their own locks and blocks, but not for the tags of the disk's
//                            queue (iomap sets no REQ_NOWAIT), and ext4 not for its journal. Of a
//                            store that ended an operation in the last `lease`, while this LUN has
//                            no more than its share of the tags under way, a tag and the journal
//                            can be had. A store that froze less than `lease` ago can still catch a
//                            submission; ARCHITECTURE.md tells what is left then.
//   files in the page cache  always: answers come from the cache while the disk is frozen, so
//                            nothing shows that the next one can be begun
// Durable writes, and what is not a read or write, always go through the store thread.
//
// Driving thread only.
#pragma once

#include <algorithm>
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
  // A tenth of what a rotating disk needs for the operations of a full queue, a hundred times what
  // a fast one needs for one.
  static constexpr Nanoseconds lease = std::chrono::milliseconds{10};

  explicit LaneChoice(Kind kind) : kind_{kind} {}

  // For a read or write that begins now, with `under_way` of this LUN's, itself included.
  io::Lane choose(TimePoint now, std::size_t under_way, const QueueShare& share) const {
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
  // A read or write has ended well.
  void ended(TimePoint now) { last_end_ = now; }
  // The kernel refused to begin one at once: EAGAIN or EOPNOTSUPP.
  void refused(int errno_value) { knows_nowait_ = knows_nowait_ && errno_value != EOPNOTSUPP; }

 private:
  Kind kind_;
  bool knows_nowait_ = true;
  TimePoint last_end_{Nanoseconds::min() / 2};
};

}  // namespace ballast::backend
