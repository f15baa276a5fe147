// SPDX-License-Identifier: Apache-2.0
// The write log on its device: superblocks, and a ring of segments with blocks in them.
//
//   0        superblock A, 4 KiB
//   64 KiB   superblock B, 4 KiB
//   1 MiB    the ring: segments of 4 MiB, one behind the other
//
// Superblocks are written in turn, so that one is whole if writing the other is cut off. The one
// with the higher slot sequence counts.
//
// A block is a header of 4 KiB and the payload of its records. It begins on a boundary of the log's
// unit, is a multiple of it long, and never crosses the end of a segment. The next block begins
// where it ends, or, if it did not fit there, at the beginning of the next segment. Blocks are
// numbered without a gap, and each has the checksum of the header before it (its link). So the end
// of the log is where no block has the number and the link that come next.
//
// A header has the records and a checksum of each 4 KiB of their payload. Its own checksum covers
// all of its 4 KiB. Everything is little endian. Bytes that mean nothing are zero.
//
// encode() asserts that what it is given is well formed. decode() takes any bytes, and refuses what
// is not with a sentence that begins with `where`. Pure functions; nothing but error sentences, and
// the strings of a superblock, uses the heap.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::write_log {

inline constexpr std::size_t page = 4096;  // a superblock, a header, and what one checksum covers
inline constexpr std::uint64_t superblock_b = 64 << 10;  // A is at 0
inline constexpr std::uint64_t ring_begin = 1 << 20;
inline constexpr std::uint64_t segment_bytes = 4 << 20;
inline constexpr std::uint32_t fewest_segments = 16;
inline constexpr std::uint32_t longest_block = 1 << 20;  // header and padding included
inline constexpr std::size_t most_records = 64;
// A record whose payload is no multiple of a page has one checksum more.
inline constexpr std::size_t most_checksums = longest_block / page - 1 + most_records;

using Uuid = std::array<std::uint8_t, 16>;
using Page = std::span<std::byte, page>;
using ConstPage = std::span<const std::byte, page>;

// A block's number, where it begins on the device, and the checksum of the header before it.
struct Position {
  std::uint64_t sequence = 0;
  std::uint64_t offset = 0;
  std::uint32_t link = 0;
  friend bool operator==(const Position&, const Position&) = default;
};

struct Superblock {
  static constexpr std::size_t longest_name = 255;

  std::uint64_t slot_sequence = 0;
  Uuid log{};
  Uuid store{};
  std::uint64_t owner = 0;
  std::uint64_t incarnation = 0;  // how often the log was opened
  Bytes lun{};                    // the LUN's size when this was written
  std::uint32_t block = 512;      // the LUN's logical block: 512, 1024, 2048 or 4096
  std::uint32_t unit = page;      // 4096, or the device's physical block if that is larger
  std::uint32_t segments = fewest_segments;
  Position tail{};            // the first block that is needed
  std::uint64_t durable = 0;  // blocks up to this number were durable when this was written
  bool clean = false;         // nothing in the log is needed
  std::string host;           // of the last owner
  std::string store_name;     // as the configuration names it
  friend bool operator==(const Superblock&, const Superblock&) = default;
};

enum class Kind : std::uint8_t { data = 1, zero = 2, unmap = 3 };

// A change of a range of blocks. Only data has a payload.
struct Record {
  Lba lba{};
  BlockCount blocks{};  // 1 to 2^32 - 1
  Kind kind = Kind::data;
  std::uint32_t payload = 0;         // where it begins in the block, a multiple of 512; or 0
  std::uint32_t first_checksum = 0;  // of its payload's checksums; or 0
  friend bool operator==(const Record&, const Record&) = default;
};

struct Header {
  Position self{};  // `link` is the checksum of the header before this one
  std::uint64_t incarnation = 0;
  std::uint64_t epoch = 0;
  Uuid log{};
  std::uint64_t owner = 0;
  std::uint32_t length = page;  // of the whole block
  std::uint64_t durable = 0;    // blocks up to this number were durable when it was written
  std::uint64_t tail = 0;       // the number of the first block that was needed then
  std::uint32_t record_count = 0;
  std::uint32_t checksum_count = 0;
  std::array<Record, most_records> records{};
  std::array<std::uint32_t, most_checksums> checksums{};

  std::span<const Record> all_records() const { return std::span{records}.first(record_count); }
  friend bool operator==(const Header&, const Header&) = default;
};

// What a block must agree with: sizes that the superblock says.
struct Sizes {
  std::uint32_t block = 512;
  std::uint32_t unit = page;
  std::uint32_t segments = fewest_segments;
  std::uint64_t ring_end() const { return ring_begin + segments * segment_bytes; }
  friend bool operator==(const Sizes&, const Sizes&) = default;
};
// How many segments a log of this size has; the size is not below ring_begin.
constexpr std::uint64_t segments_in(Bytes size) {
  return (size.value() - ring_begin) / segment_bytes;
}
inline Sizes sizes_of(const Superblock& superblock) {
  return {.block = superblock.block, .unit = superblock.unit, .segments = superblock.segments};
}

constexpr std::uint32_t checksums_of(std::uint64_t payload_bytes) {
  return static_cast<std::uint32_t>((payload_bytes + page - 1) / page);
}
constexpr std::uint64_t payload_of(const Record& record, std::uint32_t block) {
  return record.kind == Kind::data ? record.blocks.value() * block : 0;
}

void encode(const Superblock& superblock, Page out);
// EPROTONOSUPPORT: the superblock is whole, and of a version that is not known here.
Result<Superblock> decode_superblock(ConstPage bytes, std::string_view where);
// Of the two superblocks of a log: puts this one in the place of `newest` if it is newer, and
// returns whether it is. The error says why it does not count. After EPROTONOSUPPORT neither does:
// the other one may be older.
Result<bool> take_newer(ConstPage bytes, std::string_view where, std::optional<Superblock>* newest);

// Returns the header's checksum, which is the link of the next block.
std::uint32_t encode(const Header& header, const Sizes& sizes, Page out);
// `offset`: where the page was read on the device.
Result<Header> decode_header(ConstPage bytes, const Sizes& sizes, std::uint64_t offset,
                             std::string_view where);
// The checksum that an encoded header has.
std::uint32_t checksum_of_header(ConstPage bytes);

// Whether this is the payload of a record of the header.
bool is_payload(const Header& header, const Record& record, std::span<const std::byte> bytes);

}  // namespace ballast::write_log
