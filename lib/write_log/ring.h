// SPDX-License-Identifier: Apache-2.0
// Ring: where the next block goes, and which segments may be written over.
//
// A segment is written over as a whole: the first block goes into it only if no block that is
// needed lies in it, and nobody reads in it. So one segment is never full of blocks that are
// needed. "Needed" is from the tail on that the superblock on the device has; a tail that only
// memory knows gives no room.
//
// Driving thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "lib/base/assert.h"
#include "lib/write_log/format.h"

namespace ballast::write_log {

class Ring {
 public:
  Ring(const Sizes& sizes, const Position& tail, const Position& next)
      : sizes_{sizes}, tail_{tail}, next_{next}, readers_(sizes.segments) {}

  const Position& tail() const { return tail_; }
  // The number and link of the next block. Its place depends on its length.
  const Position& next() const { return next_; }
  const Sizes& sizes() const { return sizes_; }

  // Where a block of `length` bytes goes. Nothing: there is no room now.
  std::optional<std::uint64_t> place(std::uint64_t length) const;
  // A block was put at `offset`, which place() returned. `link` is the checksum of its header.
  void took(std::uint64_t offset, std::uint64_t length, std::uint32_t link);
  // The superblock on the device has this tail.
  void trimmed(const Position& tail) {
    BALLAST_ASSERT(tail.sequence >= tail_.sequence && tail.sequence <= next_.sequence);
    tail_ = tail;
  }

  // Bytes from the tail to the next block, of those that there are.
  std::uint64_t used() const { return used_of(tail_, next_, bytes()); }
  std::uint64_t bytes() const { return sizes_.segments * segment_bytes; }
  static std::uint64_t used_of(const Position& tail, const Position& next, std::uint64_t bytes) {
    if (tail.sequence == next.sequence) {
      return 0;
    }
    return next.offset > tail.offset ? next.offset - tail.offset
                                     : bytes - (tail.offset - next.offset);
  }

  // Nobody writes over the segment of `offset` while this object lives.
  class [[nodiscard]] Pin {
   public:
    Pin(Ring& ring, std::uint64_t offset) : ring_{&ring}, segment_{segment_of(offset)} {
      ++ring_->readers_[segment_];
    }
    ~Pin() { --ring_->readers_[segment_]; }
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;

   private:
    Ring* ring_;
    std::uint64_t segment_;
  };

  static std::uint64_t segment_of(std::uint64_t offset) {
    return (offset - ring_begin) / segment_bytes;
  }
  // Where the segment of `offset` ends.
  static std::uint64_t end_of_segment(std::uint64_t offset) {
    return ring_begin + (segment_of(offset) + 1) * segment_bytes;
  }
  static bool begins_segment(std::uint64_t offset) {
    return (offset - ring_begin) % segment_bytes == 0;
  }
  // The beginning of the segment behind that of `offset`.
  static std::uint64_t next_segment(const Sizes& sizes, std::uint64_t offset) {
    const std::uint64_t end = end_of_segment(offset);
    return end == sizes.ring_end() ? ring_begin : end;
  }
  // The first place for what comes behind a block.
  static std::uint64_t behind(const Sizes& sizes, std::uint64_t offset, std::uint64_t length) {
    return offset + length == end_of_segment(offset) ? next_segment(sizes, offset)
                                                     : offset + length;
  }

 private:
  friend struct Anatomy;
  Sizes sizes_;
  Position tail_;
  Position next_;
  std::vector<std::uint32_t> readers_;  // pins, by segment
};

}  // namespace ballast::write_log
