// SPDX-License-Identifier: Apache-2.0
// Contents: what is in the log and needed: its blocks, and the index of what they changed.
//
// Of each block it keeps the number, the place and the link, 24 bytes. What else a block says is
// read again where it is needed. Driving thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "lib/base/assert.h"
#include "lib/write_log/ages.h"
#include "lib/write_log/format.h"
#include "lib/write_log/index.h"

namespace ballast::write_log {

class Contents {
 public:
  // `tail`: the first block that will be added.
  Contents(std::uint32_t block, const Position& tail) : block_{block}, index_{block}, end_{tail} {}

  // Takes the memory that so many more records, in so many more blocks, need. Throws
  // std::bad_alloc.
  void reserve(std::size_t records, std::size_t blocks);
  // The block behind those that are there. `next`: what comes behind it.
  void add(const Header& header, const Position& next);

  // The first block that is needed, or the end if there is none.
  const Position& tail() const { return count_ == 0 ? end_ : blocks_.front(); }
  // What comes behind the last block.
  const Position& end() const { return end_; }
  // Of a block that is needed.
  const Position& position_of(std::uint64_t sequence) const {
    BALLAST_ASSERT(sequence >= tail().sequence && sequence < end_.sequence);
    return blocks_[sequence - blocks_.front().sequence];
  }
  // What comes behind that block: the next one, or the end.
  const Position& position_behind(std::uint64_t sequence) const {
    return sequence + 1 < end_.sequence ? position_of(sequence + 1) : end_;
  }
  // The blocks before `sequence` are not needed any more. The caller has taken their changes out
  // of the index.
  void drop_before(std::uint64_t sequence);

  // A block that was added was written now.
  void wrote(std::uint64_t sequence, TimePoint now) { ages_.wrote(sequence, now); }
  // Since when the store does not have what the log has. Nothing: it has everything.
  std::optional<TimePoint> oldest() const {
    return index_.runs() == 0 ? std::nullopt : ages_.of(tail().sequence);
  }

  Index& index() { return index_; }
  const Index& index() const { return index_; }
  std::uint32_t block() const { return block_; }

 private:
  friend struct Anatomy;
  std::uint32_t block_;
  Index index_;
  std::deque<Position> blocks_;  // behind the first `count_` of them is reserved memory
  std::size_t count_ = 0;
  Position end_;
  Ages ages_;
};

}  // namespace ballast::write_log
