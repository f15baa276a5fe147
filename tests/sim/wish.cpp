// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/wish.h"

#include <fmt/format.h>

#include "lib/scsi/cdb.h"
#include "tests/sim/neighbour.h"
#include "tests/unit/scsi/copy_list.h"

namespace ballast::sim {
namespace {

using Cdb = std::vector<std::uint8_t>;

constexpr std::size_t unmap_header = 8;
constexpr std::size_t unmap_descriptor = 16;
constexpr std::size_t mode_header = 4;
constexpr std::size_t caching_page = 20;

Cdb ranged(std::uint8_t opcode, std::uint8_t flags, Range range) {
  Cdb cdb(scsi::cdb_length(opcode));
  cdb[0] = opcode;
  cdb[1] = flags;
  if (cdb.size() == 10) {
    put32(cdb, 2, range.lba);
    put16(cdb, 7, range.count);
  } else {
    put64(cdb, 2, range.lba);
    put32(cdb, 10, range.count);
  }
  return cdb;
}

Cdb compare_and_write_cdb(const Wish& wish) {
  Cdb cdb(16);
  cdb[0] = 0x89;
  cdb[1] = wish.fua ? 0x08 : 0x00;
  put64(cdb, 2, wish.range().lba);
  cdb[13] = static_cast<std::uint8_t>(wish.range().count);
  return cdb;
}

Cdb unmap_cdb(const Wish& wish) {
  Cdb cdb(10);
  cdb[0] = 0x42;
  put16(cdb, 7, unmap_header + unmap_descriptor * wish.ranges.size());
  return cdb;
}

std::vector<std::byte> bytes_of(const Cdb& list) {
  const auto bytes = std::as_bytes(std::span{list});
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> unmap_list(const Wish& wish) {
  Cdb list(unmap_header + unmap_descriptor * wish.ranges.size());
  put16(list, 0, list.size() - 2);
  put16(list, 2, list.size() - unmap_header);
  std::size_t at = unmap_header;
  for (const Range& range : wish.ranges) {
    put64(list, at, range.lba);
    put32(list, at + 8, range.count);
    at += unmap_descriptor;
  }
  return bytes_of(list);
}

// MODE SELECT (6) of the Caching page: nothing set but WCE.
std::vector<std::byte> mode_list(const Wish& wish) {
  std::vector<std::byte> list(mode_header + caching_page);
  list[mode_header] = std::byte{0x08};
  list[mode_header + 1] = std::byte{caching_page - 2};
  list[mode_header + 2] = wish.write_cache ? std::byte{0x04} : std::byte{};
  return list;
}

Cdb copy_parameters(const Wish& wish) {
  std::vector<test::CopyRange> segments;
  for (std::size_t i = 0; i < wish.ranges.size(); ++i) {
    segments.push_back({wish.sources[i].lba, wish.ranges[i].lba, wish.ranges[i].count});
  }
  if (!wish.from_neighbour) {
    return test::copy_list(segments);
  }
  Cdb list = test::copy_list(segments, 2);
  test::name_lun(list, 0, Neighbour::serial);
  return list;
}

void append(std::vector<std::byte>* to, std::span<const Content> contents) {
  for (const Content& content : contents) {
    to->resize(to->size() + block_size);
    content.put(std::span{*to}.last(block_size));
  }
}

}  // namespace

Content Wish::put(std::uint32_t index) const {
  return kind == Kind::unmap ? Content{} : kind == Kind::write_same ? data.front() : data[index];
}

const char* Wish::name() const {
  switch (kind) {
    case Kind::read:
      return "READ";
    case Kind::write:
      return and_verify ? "WRITE AND VERIFY" : "WRITE";
    case Kind::write_same:
      return "WRITE SAME";
    case Kind::unmap:
      return "UNMAP";
    case Kind::flush:
      return "SYNCHRONIZE CACHE";
    case Kind::compare_and_write:
      return "COMPARE AND WRITE";
    case Kind::verify:
      return "VERIFY";
    case Kind::mode_select:
      return "MODE SELECT";
    case Kind::start_stop:
      return "START STOP UNIT";
    case Kind::copy:
      return "EXTENDED COPY";
  }
  return "";
}

std::string Wish::description() const {
  std::string text = name();
  for (const Range& part : ranges) {
    text += fmt::format(" lba {} blocks {}", part.lba, part.count);
  }
  if (!data.empty()) {
    text += fmt::format(" from {}", data.front().name());
  }
  text += from_neighbour ? " of the neighbour" : "";
  if (kind == Kind::mode_select) {
    text += write_cache ? " WCE=1" : " WCE=0";
  }
  if (kind == Kind::start_stop) {
    text += start ? " START=1" : " START=0";
  }
  if (kind == Kind::verify) {
    text += fmt::format(" BYTCHK={}", bytchk);
  }
  return text + (fua ? " FUA" : "") + (may_unmap ? " UNMAP" : "");
}

std::vector<std::uint8_t> cdb_of(const Wish& wish) {
  const std::uint8_t fua = wish.fua ? 0x08 : 0x00;
  const std::uint8_t unmap = wish.may_unmap ? 0x08 : 0x00;
  constexpr std::uint8_t compare_all = 0x02;
  switch (wish.kind) {
    case Wish::Kind::read:
      return ranged(wish.sixteen ? 0x88 : 0x28, fua, wish.range());
    case Wish::Kind::write:
      return wish.and_verify ? ranged(wish.sixteen ? 0x8e : 0x2e, compare_all, wish.range())
                             : ranged(wish.sixteen ? 0x8a : 0x2a, fua, wish.range());
    case Wish::Kind::write_same:
      return ranged(wish.sixteen ? 0x93 : 0x41, unmap, wish.range());
    case Wish::Kind::unmap:
      return unmap_cdb(wish);
    case Wish::Kind::flush:
      return ranged(wish.sixteen ? 0x91 : 0x35, 0, wish.range());
    case Wish::Kind::compare_and_write:
      return compare_and_write_cdb(wish);
    case Wish::Kind::verify:
      return ranged(wish.sixteen ? 0x8f : 0x2f, static_cast<std::uint8_t>(wish.bytchk << 1),
                    wish.range());
    case Wish::Kind::mode_select:
      return {0x15, 0x10, 0, 0, mode_header + caching_page, 0};
    case Wish::Kind::start_stop:
      return {0x1b, 0, 0, 0, static_cast<std::uint8_t>(wish.start ? 0x01 : 0x00), 0};
    case Wish::Kind::copy:
      return test::copy_cdb(copy_parameters(wish).size());
  }
  return {};
}

std::vector<std::byte> data_of(const Wish& wish) {
  if (wish.kind == Wish::Kind::read) {
    return std::vector<std::byte>(wish.range().count * block_size, std::byte{0xa5});
  }
  if (wish.kind == Wish::Kind::unmap) {
    return unmap_list(wish);
  }
  if (wish.kind == Wish::Kind::mode_select) {
    return mode_list(wish);
  }
  if (wish.kind == Wish::Kind::copy) {
    return bytes_of(copy_parameters(wish));
  }
  std::vector<std::byte> data;
  const bool one_for_all = wish.kind == Wish::Kind::verify && wish.bytchk == 3;
  append(&data, std::span{wish.expected}.first(one_for_all ? 1 : wish.expected.size()));
  append(&data, wish.data);
  return data;
}

Wish read_wish(Range range) {
  Wish wish;
  wish.kind = Wish::Kind::read;
  wish.ranges = {range};
  return wish;
}

Wish write_wish(Range range, std::uint32_t data) {
  Wish wish;
  wish.kind = Wish::Kind::write;
  wish.ranges = {range};
  for (std::uint32_t i = 0; i < range.count; ++i) {
    wish.data.push_back(Content{data, i, 0});
  }
  return wish;
}

Wish zero_wish(Range range) {
  Wish wish;
  wish.kind = Wish::Kind::write_same;
  wish.ranges = {range};
  wish.data = {Content{}};
  return wish;
}

Wish pattern_wish(Range range, std::uint32_t data) {
  Wish wish = zero_wish(range);
  wish.data = {Content{data, 0, 0}};
  return wish;
}

Wish unmap_wish(std::vector<Range> ranges) {
  Wish wish;
  wish.kind = Wish::Kind::unmap;
  wish.ranges = std::move(ranges);
  return wish;
}

Wish flush_wish() {
  Wish wish;
  wish.kind = Wish::Kind::flush;
  wish.ranges = {Range{}};
  return wish;
}

Wish start_stop_wish(bool start) {
  Wish wish;
  wish.kind = Wish::Kind::start_stop;
  wish.start = start;
  return wish;
}

}  // namespace ballast::sim
