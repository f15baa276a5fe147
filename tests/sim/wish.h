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
    verify,       // BYTCHK 01
    mode_select,  // WCE
  };
  Kind kind = Kind::read;
  bool sixteen = false;  // the 16-byte CDB
  bool fua = false;
  bool and_verify = false;        // WRITE AND VERIFY, BYTCHK 01
  bool may_unmap = false;         // UNMAP of WRITE SAME
  bool write_cache = true;        // mode_select
  std::vector<Range> ranges;      // one; any number for unmap; none for mode_select
  std::vector<Content> data;      // by block; one for write_same
  std::vector<Content> expected;  // compare_and_write, verify

  const Range& range() const { return ranges.front(); }
  bool changes() const {
    return kind == Kind::write || kind == Kind::write_same || kind == Kind::unmap ||
           kind == Kind::compare_and_write;
  }
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

}  // namespace ballast::sim
