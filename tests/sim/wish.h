// SPDX-License-Identifier: Apache-2.0
// Wish: what an initiator wants done, and the CDB and data-out that say so.
//
// A Wish is a plain value. Sending it again is a retry. Sending an altered copy is another command
// that looks much like it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/sim/content.h"

namespace ballast::sim {

struct Range {
  std::uint32_t lba = 0;
  std::uint32_t count = 0;
  bool touches(const Range& other) const {
    return lba < other.lba + other.count && other.lba < lba + count;
  }
  friend bool operator==(const Range&, const Range&) = default;
};

struct Wish {
  enum class Kind : std::uint8_t {
    read,
    write,
    write_same,
    unmap,
    flush,  // SYNCHRONIZE CACHE
    compare_and_write,
    verify,
    mode_select,  // WCE
    start_stop,
    copy,  // EXTENDED COPY
  };
  Kind kind = Kind::read;
  bool sixteen = false;  // the 16-byte CDB
  bool fua = false;
  bool and_verify = false;      // WRITE AND VERIFY, BYTCHK 01
  bool may_unmap = false;       // UNMAP of WRITE SAME
  std::uint8_t bytchk = 1;      // verify: 0 without data; 3 with one block for all
  bool write_cache = true;      // mode_select
  bool start = true;            // start_stop
  bool from_neighbour = false;  // copy: the sources are there
  // One; any number for unmap and copy; none for mode_select and start_stop.
  std::vector<Range> ranges;
  std::vector<Range> sources;     // copy: for each range one of the same size
  std::vector<Content> data;      // by block; one for write_same; copy: what the sources hold
  std::vector<Content> expected;  // compare_and_write, verify; by block; none for BYTCHK 0

  const Range& range() const { return ranges.front(); }
  bool changes() const {
    return kind == Kind::write || kind == Kind::write_same || kind == Kind::unmap ||
           kind == Kind::compare_and_write || kind == Kind::copy;
  }
  // Calls visit(block, index of the block in the data) for each block of each range.
  template <class Visit>
  void for_each_block(Visit visit) const {
    std::uint32_t index = 0;
    for (const Range& part : ranges) {
      for (std::uint32_t i = 0; i < part.count; ++i) {
        visit(part.lba + i, index++);
      }
    }
  }
  // What a change puts into the block with this index.
  Content put(std::uint32_t index) const;
  const char* name() const;
  std::string description() const;  // "WRITE lba 3 blocks 2 FUA"
};

std::vector<std::uint8_t> cdb_of(const Wish& wish);
// The data-out; for a read, room for the data-in, filled with other bytes.
std::vector<std::byte> data_of(const Wish& wish);

// --- the usual ones ---
Wish read_wish(Range range);
// The blocks of data `data`, counted from 0.
Wish write_wish(Range range, std::uint32_t data);
Wish zero_wish(Range range);                         // WRITE SAME of zeros
Wish pattern_wish(Range range, std::uint32_t data);  // WRITE SAME of data's block 0
Wish unmap_wish(std::vector<Range> ranges);
Wish flush_wish();
Wish start_stop_wish(bool start);

}  // namespace ballast::sim
