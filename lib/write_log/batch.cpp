// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "lib/base/assert.h"
#include "lib/write_log/ring.h"

namespace ballast::write_log {

const char* Batch::lacks() {
  memory_ = io::make_page_memory(segment_bytes);
  return memory_ != nullptr ? nullptr : "memory to read a segment of the log";
}

std::uint64_t Batch::bytes_at_tail(const Contents& contents, std::uint64_t last) {
  const std::uint64_t begin = contents.tail().offset;
  const std::uint64_t behind = contents.position_behind(last).offset;
  const bool in_one = Ring::segment_of(begin) == Ring::segment_of(behind) && behind > begin;
  return (in_one ? behind : Ring::end_of_segment(begin)) - begin;
}

Result<void> Batch::begin(const Contents& contents, std::uint64_t last, std::uint64_t bytes,
                          std::string_view device) {
  const Position tail = contents.tail();
  newest_ = Index{superblock_.block};
  changes_ = 0;
  end_ = tail;
  next_ = Lba{};
  for (std::uint64_t number = tail.sequence; number <= last; ++number) {
    const Position& self = contents.position_of(number);
    if (Ring::segment_of(self.offset) != Ring::segment_of(tail.offset)) {
      break;
    }
    const Position& next = contents.position_behind(number);
    const Result<bool> added = add(self, next, self.offset - tail.offset, bytes, device);
    if (!added.ok()) {
      return added.error();
    }
    if (!added.value()) {
      break;
    }
    end_ = next;
  }
  BALLAST_ASSERT(end_.sequence > tail.sequence);
  return {};
}

// Adds a block, which is `offset` behind the beginning of the memory. Returns false if it belongs
// into another batch.
Result<bool> Batch::add(const Position& self, const Position& next, std::uint64_t offset,
                        std::uint64_t bytes, std::string_view device) {
  const auto refuse = [&](std::string_view why) {
    return Error{EIO, fmt::format("{}: block {} of the log, at offset {}, is not what was written: "
                                  "{}",
                                  device, self.sequence, self.offset, why)};
  };
  BALLAST_ASSERT(offset + page <= bytes);
  const std::span<const std::byte> block = memory().subspan(offset, bytes - offset);
  const ConstPage page_bytes{block.first(page)};
  Result<Header> decoded = decode_header(page_bytes, sizes_of(superblock_), self.offset, device);
  if (!decoded.ok()) {
    return decoded.error();
  }
  header_ = std::move(decoded).value();
  if (header_.self != self || header_.log != superblock_.log ||
      checksum_of_header(page_bytes) != next.link) {
    return refuse("another block is in its place");
  }
  if (changes_ > 0 && changes_ + header_.record_count > most_changes) {
    return false;
  }
  if (changes_ > 0 && header_.record_count > 0 && header_.epoch != epoch_ &&
      order_ == Order::epoch) {
    return false;
  }
  for (const Record& record : header_.all_records()) {
    const std::uint64_t length = payload_of(record, superblock_.block);
    BALLAST_ASSERT(length == 0 || record.payload + length <= block.size());
    if (length > 0 && !is_payload(header_, record, block.subspan(record.payload, length))) {
      return refuse("the checksum of its data differs");
    }
  }
  for (const Record& record : header_.all_records()) {
    const bool data = record.kind == Kind::data;
    ++changes_;
    newest_.insert(record.lba, record.blocks,
                   {.sequence = 2 * changes_ + (record.kind == Kind::unmap ? 1 : 0),
                    .payload = data ? offset + record.payload : 0});
    epoch_ = header_.epoch;
  }
  return true;
}

Index::Piece Batch::piece_at(Lba lba) const {
  return newest_.first_piece(lba, newest_.end() - lba);
}

std::optional<Batch::Run> Batch::take(std::vector<iovec>* segments) {
  const Lba end = newest_.end();
  segments->clear();
  Index::Piece piece{};
  while (next_ < end && (piece = piece_at(next_)).in == Index::In::store) {
    next_ = piece.lba + piece.blocks;
  }
  if (next_ >= end) {
    return std::nullopt;
  }
  Run run{.lba = next_, .blocks = {}, .kind = Kind::zero};
  if (piece.in == Index::In::zeros) {
    run.blocks = piece.blocks;
    run.kind = piece.source.sequence % 2 == 1 ? Kind::unmap : Kind::zero;
    next_ = next_ + piece.blocks;
    return run;
  }
  run.kind = Kind::data;
  const std::uint64_t extent = extent_bytes / superblock_.block;
  const Lba border{std::min((next_.value() / extent + 1) * extent, end.value())};
  while (next_ < border && (piece = piece_at(next_)).in == Index::In::log) {
    const BlockCount blocks = std::min(piece.blocks, border - next_);
    segments->push_back({.iov_base = memory_.get() + piece.source.payload,
                         .iov_len = static_cast<std::size_t>(blocks.value()) * superblock_.block});
    next_ = next_ + blocks;
    run.blocks += blocks;
  }
  return run;
}

void Batch::drop_from(Contents* contents) const {
  const Lba end = newest_.end();
  for (Lba lba{}; lba < end;) {
    const Index::Piece piece = piece_at(lba);
    if (piece.in != Index::In::store) {
      contents->index().trim(piece.lba, piece.blocks, end_.sequence - 1);
    }
    lba = piece.lba + piece.blocks;
  }
  contents->drop_before(end_.sequence);
}

}  // namespace ballast::write_log
