// SPDX-License-Identifier: Apache-2.0
// Index: which block of the log has the newest of each block of the LUN.
//
// It is a map of runs that do not overlap, by their first block. insert() puts a run over whatever
// was there. lookup() divides a range into pieces: in the log, zeros, or in the store. trim() drops
// what the store has by now. Inserting takes logarithmic time in the number of runs, plus the
// number of runs that it covers.
//
// Each insert adds at most two runs: one for itself, and one where it cuts a run in two. So the
// index has at most twice as many runs as the log has records. Driving thread only. A run is an
// allocation of its own; reserve() makes it in advance, for whoever must not fail when it inserts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "lib/base/units.h"

namespace ballast::write_log {

class Index {
 public:
  // Where the blocks of a run are. `sequence` is that of the log's block. The payload of the n-th
  // block of the run is n blocks behind `payload`, a place on the log's device; 0: the run reads as
  // zeros.
  struct Source {
    std::uint64_t sequence = 0;
    std::uint64_t payload = 0;
    friend bool operator==(const Source&, const Source&) = default;
  };
  enum class In : std::uint8_t { store, log, zeros };
  struct Piece {
    Lba lba{};
    BlockCount blocks{};
    In in = In::store;
    Source source{};  // of its first block; empty in the store
    friend bool operator==(const Piece&, const Piece&) = default;
  };

  explicit Index(std::uint32_t block) : block_{block} {}  // the LUN's logical block, in bytes

  // Takes the memory that the next `inserts` inserts need. Throws std::bad_alloc.
  void reserve(std::size_t inserts);
  // `source.sequence` is not below that of any run (asserted): records are inserted in the order of
  // their blocks.
  void insert(Lba lba, BlockCount blocks, const Source& source);

  // The piece that begins at `lba` and ends at a change of its place, or at the end of the range.
  // The range is not empty.
  Piece first_piece(Lba lba, BlockCount blocks) const;
  // Whether nothing of the range is in the store.
  bool covers(Lba lba, BlockCount blocks) const;

  // Drops the runs that touch the range and are in blocks of the log up to `sequence`. The whole of
  // each goes, because all of what a trimmed block changed is trimmed together.
  void trim(Lba lba, BlockCount blocks, std::uint64_t sequence);

  // The first block behind all runs.
  Lba end() const { return runs_.empty() ? Lba{} : runs_.rbegin()->second.end; }
  std::size_t runs() const { return runs_.size(); }

 private:
  friend struct Anatomy;
  struct Run {
    Lba end{};
    Source source{};
  };
  // The source of the block that is `by` blocks behind the first one.
  Source behind(const Source& source, BlockCount by) const {
    return {source.sequence, source.payload == 0 ? 0 : source.payload + by.value() * block_};
  }
  using Runs = std::map<Lba, Run>;
  void clear(Lba lba, Lba end);
  void put(Lba lba, const Run& run);

  std::uint64_t block_;
  std::uint64_t newest_ = 0;
  Runs runs_;
  std::vector<Runs::node_type> spares_;
};

}  // namespace ballast::write_log
