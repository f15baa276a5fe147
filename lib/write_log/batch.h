// SPDX-License-Identifier: Apache-2.0
// Batch: what the reaper writes to the store at once: blocks that lie one behind the other in one
// segment, and, if the order is so, are of one epoch.
//
// The newest change of each block of the LUN counts. take() hands out runs of the LUN in the order
// of their addresses. Runs of data that touch are one run, as long as they lie in one extent of
// 256 KiB: an extent is what stores like to write at once. The data stays where it was read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/write_log/contents.h"
#include "lib/write_log/device.h"
#include "lib/write_log/format.h"
#include "lib/write_log/index.h"

namespace ballast::write_log {

enum class Order : std::uint8_t {
  epoch,  // a batch is of one epoch
  free,   // it may be of several
};

class Batch {
 public:
  static constexpr std::uint64_t extent_bytes = 256 << 10;
  static constexpr std::size_t most_changes = 4096;

  struct Run {
    Lba lba{};
    BlockCount blocks{};
    Kind kind = Kind::data;
  };

  Batch(const Superblock& superblock, Order order)
      : superblock_{superblock}, order_{order}, newest_{superblock.block} {}

  // Null if it works, or what there is no memory for.
  const char* lacks();

  // How many bytes there are from the contents' tail to behind block `last`, or to the end of the
  // tail's segment.
  static std::uint64_t bytes_at_tail(const Contents& contents, std::uint64_t last);

  // The memory of a segment, to read blocks into.
  std::span<std::byte> memory() { return {memory_.get(), segment_bytes}; }

  // Begins a batch with the blocks from the contents' tail on, up to block `last`, which were read
  // to the beginning of the memory: `bytes` of them. An error: a block is not what was written; the
  // blocks before it are not in the batch either.
  Result<void> begin(const Contents& contents, std::uint64_t last, std::uint64_t bytes,
                     std::string_view device);

  // The first block behind the batch.
  const Position& end() const { return end_; }

  // The next run, and the segments of its data. Nothing: there is no more.
  std::optional<Run> take(std::vector<iovec>* segments);

  // Takes the blocks of the batch out of the contents.
  void drop_from(Contents* contents) const;

 private:
  friend struct Anatomy;
  Result<bool> add(const Position& self, const Position& next, std::uint64_t offset,
                   std::uint64_t bytes, std::string_view device);
  Index::Piece piece_at(Lba lba) const;  // which is before the end of them all

  const Superblock& superblock_;
  const Order order_;
  Memory memory_;
  Header header_;
  Index newest_;  // `payload`: in the memory; `sequence`: of the change, doubled, plus 1 for unmap
  std::uint64_t changes_ = 0;
  std::uint64_t epoch_ = 0;
  Position end_{};
  Lba next_{};  // of take()
};

}  // namespace ballast::write_log
