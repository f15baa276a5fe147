// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "lib/base/assert.h"
#include "lib/base/crc32c.h"

namespace ballast::write_log {
namespace {

static_assert(std::endian::native == std::endian::little);
static_assert(128 + most_records * 32 + most_checksums * 4 <= page);

constexpr std::uint64_t superblock_magic = 0x5245505553474c42;  // the bytes "BLGSUPER"
constexpr std::uint64_t header_magic = 0x4b434f4c42474c42;      // "BLGBLOCK"
constexpr std::uint32_t this_version = 1;
constexpr std::size_t sector = 512;
constexpr std::size_t crc_at = 8;  // behind the magic, in both
constexpr std::size_t records_at = 128;
constexpr std::size_t record_bytes = 32;
constexpr std::size_t checksums_at = records_at + most_records * record_bytes;

// Puts values one behind the other.
class Writer {
 public:
  explicit Writer(std::span<std::byte> out) : out_{out} {}
  template <class T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::memcpy(take(sizeof(T)), &value, sizeof(T));
  }
  void put(const Position& position) {
    put(position.sequence);
    put(position.offset);
    put(position.link);
  }
  void put_name(const std::string& name) {
    BALLAST_ASSERT(name.size() <= Superblock::longest_name);
    put(static_cast<std::uint8_t>(name.size()));
    std::memcpy(take(Superblock::longest_name), name.data(), name.size());
  }

 private:
  std::byte* take(std::size_t bytes) {
    BALLAST_ASSERT(bytes <= out_.size());
    std::byte* const at = out_.data();
    out_ = out_.subspan(bytes);
    return at;
  }
  std::span<std::byte> out_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> in) : in_{in} {}
  template <class T>
  void get(T* value) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::memcpy(value, take(sizeof(T)), sizeof(T));
  }
  void get(Position* position) {
    get(&position->sequence);
    get(&position->offset);
    get(&position->link);
  }
  void get_name(std::string* name) {
    std::uint8_t length = 0;
    get(&length);
    name->assign(reinterpret_cast<const char*>(take(Superblock::longest_name)), length);
  }

 private:
  const std::byte* take(std::size_t bytes) {
    BALLAST_ASSERT(bytes <= in_.size());
    const std::byte* const at = in_.data();
    in_ = in_.subspan(bytes);
    return at;
  }
  std::span<const std::byte> in_;
};

// Of the whole page, with zeros in place of the checksum itself.
std::uint32_t checksum_of(ConstPage bytes) {
  constexpr std::array<std::byte, 4> nothing{};
  std::uint32_t crc = crc32c(bytes.first(crc_at));
  crc = crc32c(nothing, crc);
  return crc32c(bytes.subspan(crc_at + nothing.size()), crc);
}

template <class T>
T value_at(ConstPage bytes, std::size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

std::uint32_t seal(Page out) {
  const std::uint32_t crc = checksum_of(out);
  std::memcpy(out.data() + crc_at, &crc, sizeof(crc));
  return crc;
}

template <class... Args>
Error refusal(std::string_view where, fmt::format_string<Args...> format, Args&&... args) {
  return Error{EINVAL,
               fmt::format("{}: {}", where, fmt::format(format, std::forward<Args>(args)...))};
}

// Magic and checksum are in the same place in every version.
std::optional<Error> refuse_page(ConstPage bytes, std::uint64_t magic, std::string_view what,
                                 std::string_view where) {
  const auto found = value_at<std::uint64_t>(bytes, 0);
  if (found != magic) {
    return refusal(where, "no {} of a write log is there (it begins with {:016x}, not {:016x})",
                   what, found, magic);
  }
  const std::uint32_t crc = checksum_of(bytes);
  const auto stored = value_at<std::uint32_t>(bytes, crc_at);
  if (crc != stored) {
    return refusal(where,
                   "the {} is damaged, or its writing was cut off: its checksum is {:08x}, and "
                   "{:08x} is stored",
                   what, crc, stored);
  }
  return std::nullopt;
}

// --- what makes them well formed; null: nothing is wrong

std::string wrong_with(const Sizes& sizes) {
  if (!std::has_single_bit(sizes.block) || sizes.block < 512 || sizes.block > 4096) {
    return fmt::format("its logical block is {} bytes, and must be 512, 1024, 2048 or 4096",
                       sizes.block);
  }
  if (!std::has_single_bit(sizes.unit) || sizes.unit < page || sizes.unit > longest_block) {
    return fmt::format("its unit is {} bytes, and must be a power of two from {} to {}", sizes.unit,
                       page, longest_block);
  }
  if (sizes.segments < fewest_segments) {
    return fmt::format("it has {} segments, and must have {} at least", sizes.segments,
                       fewest_segments);
  }
  return {};
}

std::string wrong_with_place(std::uint64_t offset, std::uint64_t length, const Sizes& sizes) {
  const std::uint64_t in_ring = offset - ring_begin;
  if (offset < ring_begin || offset >= sizes.ring_end() || in_ring % sizes.unit != 0) {
    return fmt::format("offset {} is no multiple of {} in the ring, which ends at {}", offset,
                       sizes.unit, sizes.ring_end());
  }
  if (length == 0 || length > longest_block || length % sizes.unit != 0 ||
      in_ring % segment_bytes + length > segment_bytes) {
    return fmt::format(
        "a block of {} bytes at {} is no multiple of {}, longer than {}, or crosses the end of its "
        "segment",
        length, offset, sizes.unit, longest_block);
  }
  return {};
}

std::string wrong_with(const Superblock& superblock) {
  std::string wrong = wrong_with(sizes_of(superblock));
  if (wrong.empty()) {
    wrong = wrong_with_place(superblock.tail.offset, superblock.unit, sizes_of(superblock));
  }
  if (wrong.empty() && superblock.lun.value() % superblock.block != 0) {
    wrong = fmt::format("its LUN has {} bytes, which is no multiple of the logical block, {}",
                        superblock.lun.value(), superblock.block);
  }
  return wrong;
}

// Payloads and checksums lie one behind the other, in the order of their records.
std::string wrong_with(const Header& header, const Sizes& sizes) {
  std::string wrong = wrong_with_place(header.self.offset, header.length, sizes);
  if (!wrong.empty()) {
    return wrong;
  }
  if (header.record_count > most_records || header.checksum_count > most_checksums) {
    return fmt::format("it has {} records and {} checksums, and may have {} and {}",
                       header.record_count, header.checksum_count, most_records, most_checksums);
  }
  if (header.durable >= header.self.sequence || header.tail > header.self.sequence) {
    return fmt::format("block {} says that block {} is durable and that block {} is needed",
                       header.self.sequence, header.durable, header.tail);
  }
  std::uint64_t payload_end = page;
  std::uint64_t checksums = 0;
  for (const Record& record : header.all_records()) {
    const std::uint64_t blocks = record.blocks.value();
    const std::uint64_t bytes = payload_of(record, sizes.block);
    if (record.kind < Kind::data || record.kind > Kind::unmap || blocks == 0 ||
        blocks > std::numeric_limits<std::uint32_t>::max() ||
        record.lba.value() > std::numeric_limits<std::uint64_t>::max() - blocks) {
      return fmt::format("a record of kind {} changes {} blocks from {} on",
                         static_cast<unsigned>(record.kind), blocks, record.lba.value());
    }
    if (bytes == 0) {
      if (record.payload != 0 || record.first_checksum != 0) {
        return fmt::format("the record of block {} has a payload, and needs none",
                           record.lba.value());
      }
      continue;
    }
    if (record.payload % sector != 0 || record.payload < payload_end ||
        record.payload + bytes > header.length || record.first_checksum != checksums) {
      return fmt::format(
          "the payload of {} bytes at {} and its checksums from {} on are not behind those of the "
          "record before, or not in the block of {} bytes",
          bytes, record.payload, record.first_checksum, header.length);
    }
    payload_end = record.payload + bytes;
    checksums += checksums_of(bytes);
  }
  if (checksums != header.checksum_count) {
    return fmt::format("its records have {} checksums, and {} are stored", checksums,
                       header.checksum_count);
  }
  return {};
}

}  // namespace

// --- superblock

void encode(const Superblock& superblock, Page out) {
  BALLAST_ASSERT(wrong_with(superblock).empty());
  std::ranges::fill(out, std::byte{});
  Writer writer{out};
  writer.put(superblock_magic);
  writer.put(std::uint32_t{});  // the checksum
  writer.put(this_version);
  writer.put(superblock.slot_sequence);
  writer.put(superblock.log);
  writer.put(superblock.store);
  writer.put(superblock.owner);
  writer.put(superblock.incarnation);
  writer.put(superblock.lun.value());
  writer.put(superblock.block);
  writer.put(superblock.unit);
  writer.put(superblock.segments);
  writer.put(superblock.tail);
  writer.put(superblock.durable);
  writer.put(static_cast<std::uint8_t>(superblock.clean ? 1 : 0));
  writer.put_name(superblock.host);
  writer.put_name(superblock.store_name);
  (void)seal(out);
}

Result<Superblock> decode_superblock(ConstPage bytes, std::string_view where) {
  std::optional<Error> refused = refuse_page(bytes, superblock_magic, "superblock", where);
  if (refused.has_value()) {
    return std::move(*refused);
  }
  Superblock superblock;
  Reader reader{bytes.subspan(crc_at + 4)};
  std::uint32_t version = 0;
  reader.get(&version);
  if (version != this_version) {
    Error error =
        refusal(where, "the log has version {} of the format, and this Ballast knows version {}",
                version, this_version);
    error.errno_value = EPROTONOSUPPORT;
    return error;
  }
  std::uint64_t lun = 0;
  std::uint8_t clean = 0;
  reader.get(&superblock.slot_sequence);
  reader.get(&superblock.log);
  reader.get(&superblock.store);
  reader.get(&superblock.owner);
  reader.get(&superblock.incarnation);
  reader.get(&lun);
  reader.get(&superblock.block);
  reader.get(&superblock.unit);
  reader.get(&superblock.segments);
  reader.get(&superblock.tail);
  reader.get(&superblock.durable);
  reader.get(&clean);
  reader.get_name(&superblock.host);
  reader.get_name(&superblock.store_name);
  superblock.lun = Bytes{lun};
  superblock.clean = clean != 0;
  const std::string wrong = wrong_with(superblock);
  if (!wrong.empty()) {
    return refusal(where, "the superblock makes no sense: {}", wrong);
  }
  return superblock;
}

Result<bool> take_newer(ConstPage bytes, std::string_view where,
                        std::optional<Superblock>* newest) {
  Result<Superblock> found = decode_superblock(bytes, where);
  if (!found.ok()) {
    return found.error();
  }
  const bool newer = !*newest || found.value().slot_sequence > (*newest)->slot_sequence;
  if (newer) {
    *newest = std::move(found).value();
  }
  return newer;
}

// --- header

std::uint32_t encode(const Header& header, const Sizes& sizes, Page out) {
  BALLAST_ASSERT(wrong_with(header, sizes).empty());
  std::ranges::fill(out, std::byte{});
  Writer writer{out};
  writer.put(header_magic);
  writer.put(std::uint32_t{});  // the checksum
  writer.put(this_version);
  writer.put(header.self);
  writer.put(header.incarnation);
  writer.put(header.epoch);
  writer.put(header.log);
  writer.put(header.owner);
  writer.put(header.length);
  writer.put(header.durable);
  writer.put(header.tail);
  writer.put(header.record_count);
  writer.put(header.checksum_count);
  Writer records{out.subspan(records_at)};
  for (const Record& record : header.all_records()) {
    records.put(record.lba.value());
    records.put(static_cast<std::uint32_t>(record.blocks.value()));
    records.put(record.payload);
    records.put(record.first_checksum);
    records.put(static_cast<std::uint8_t>(record.kind));
    records.put(std::array<std::uint8_t, 11>{});
  }
  Writer checksums{out.subspan(checksums_at)};
  for (const std::uint32_t checksum : std::span{header.checksums}.first(header.checksum_count)) {
    checksums.put(checksum);
  }
  return seal(out);
}

Result<Header> decode_header(ConstPage bytes, const Sizes& sizes, std::uint64_t offset,
                             std::string_view where) {
  std::optional<Error> refused = refuse_page(bytes, header_magic, "block", where);
  if (refused.has_value()) {
    return std::move(*refused);
  }
  Header header;
  Reader reader{bytes.subspan(crc_at + 4)};
  std::uint32_t version = 0;
  reader.get(&version);
  reader.get(&header.self);
  reader.get(&header.incarnation);
  reader.get(&header.epoch);
  reader.get(&header.log);
  reader.get(&header.owner);
  reader.get(&header.length);
  reader.get(&header.durable);
  reader.get(&header.tail);
  reader.get(&header.record_count);
  reader.get(&header.checksum_count);
  if (version != this_version) {
    return refusal(where,
                   "the block has version {} of the format, and this Ballast knows version {}",
                   version, this_version);
  }
  if (header.self.offset != offset) {
    return refusal(where, "the block was written to offset {}, and read from offset {}",
                   header.self.offset, offset);
  }
  Reader records{bytes.subspan(records_at)};
  for (Record& record :
       std::span{header.records}.first(std::min<std::size_t>(header.record_count, most_records))) {
    std::uint64_t lba = 0;
    std::uint32_t blocks = 0;
    std::array<std::uint8_t, 11> nothing{};
    records.get(&lba);
    records.get(&blocks);
    records.get(&record.payload);
    records.get(&record.first_checksum);
    records.get(&record.kind);
    records.get(&nothing);
    record.lba = Lba{lba};
    record.blocks = BlockCount{blocks};
  }
  Reader checksums{bytes.subspan(checksums_at)};
  for (std::uint32_t& checksum : std::span{header.checksums}.first(
           std::min<std::size_t>(header.checksum_count, most_checksums))) {
    checksums.get(&checksum);
  }
  const std::string wrong = wrong_with(header, sizes);
  if (!wrong.empty()) {
    return refusal(where, "the block makes no sense: {}", wrong);
  }
  return header;
}

std::uint32_t checksum_of_header(ConstPage bytes) {
  return value_at<std::uint32_t>(bytes, crc_at);
}

bool is_payload(const Header& header, const Record& record, std::span<const std::byte> bytes) {
  BALLAST_ASSERT(record.first_checksum + checksums_of(bytes.size()) <= header.checksum_count);
  for (std::size_t i = 0; !bytes.empty(); ++i) {
    const std::span<const std::byte> piece = bytes.first(std::min(bytes.size(), page));
    if (crc32c(piece) != header.checksums[record.first_checksum + i]) {
      return false;
    }
    bytes = bytes.subspan(piece.size());
  }
  return true;
}

}  // namespace ballast::write_log
