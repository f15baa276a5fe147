// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/base/log.h"
#include "lib/base/round_up.h"

namespace ballast::write_log {

Reader::Reader(Device& device, const Contents& contents, Ring& ring, Writer& writer,
               const Superblock& superblock, const Sabotage& sabotage)
    : device_{device},
      contents_{contents},
      ring_{ring},
      writer_{writer},
      superblock_{superblock},
      sabotage_{sabotage},
      scratch_{device.executor(), "a buffer to read the log"},
      operations_{device.executor(), "the last read of the log"} {}

IoStatus Reader::refuse(const Index::Piece& piece, const char* why) {
  if (const auto left_out = refused_lines_.next_in_words(executor().now())) {
    log(LogLevel::error,
        "the write log {}: blocks {}+{} of the LUN cannot be read from block {} of the log: {}{}",
        device_.name(), piece.lba.value(), piece.blocks.value(), piece.source.sequence, why,
        *left_out);
  }
  return IoStatus::medium_error;
}

co::Task<IoStatus> Reader::read(Index::Piece piece, io::SgView to) {
  BALLAST_ASSERT(piece.in != Index::In::store);
  const co::Gate::Guard inside{operations_};
  BALLAST_ASSERT(to.size() == piece.blocks.value() * contents_.block());
  if (piece.in == Index::In::zeros) {
    io::zero(to);
    co_return IoStatus::ok;
  }
  std::optional<Ring::Pin> pin;
  if (!sabotage_.no_pin) {
    pin.emplace(ring_, piece.source.payload);
  }
  // Before anything else may run: the block may be trimmed meanwhile.
  const std::uint64_t offset = contents_.position_of(piece.source.sequence).offset;
  IoStatus status = IoStatus::no_resource;
  {
    co::Semaphore::Guard slot = co_await scratch_.slot();
    const io::ScratchPool::Buffer memory{scratch_, std::move(slot)};
    if (memory) {
      status = co_await read_through(memory, offset, piece, to);
    }
  }
  pin.reset();
  writer_.room_came();
  co_return status;
}

co::Task<void> Reader::close() {
  operations_.close();
  co_await operations_.drain();
}

// Finds the record whose payload the piece is.
IoStatus Reader::find(ConstPage bytes, std::uint64_t offset, const Index::Piece& piece,
                      Header* header, Record* record) {
  Result<Header> found = decode_header(bytes, ring_.sizes(), offset, device_.name());
  if (!found.ok()) {
    return refuse(piece, found.error().message.c_str());
  }
  *header = std::move(found).value();
  if (header->log != superblock_.log || header->self.sequence != piece.source.sequence) {
    return refuse(piece, "another block is in its place");
  }
  const std::uint64_t payload = piece.source.payload - offset;
  for (const Record& each : header->all_records()) {
    const std::uint64_t length = payload_of(each, contents_.block());
    if (payload >= each.payload && payload < each.payload + length) {
      const std::uint64_t before = (payload - each.payload) / contents_.block();
      if (each.lba + BlockCount{before} != piece.lba ||
          before + piece.blocks.value() > each.blocks.value()) {
        return refuse(piece, "its record is of other blocks");
      }
      *record = each;
      return IoStatus::ok;
    }
  }
  return refuse(piece, "none of its records has them");
}

co::Task<IoStatus> Reader::read_through(const io::ScratchPool::Buffer& memory, std::uint64_t offset,
                                        Index::Piece piece, io::SgView to) {
  const std::span<std::byte> buffer = memory.bytes();
  Header& header = headers_[memory.index()];
  IoStatus status = co_await device_.read(offset, buffer.first(page));
  if (!ok(status)) {
    co_return status;
  }
  Record record;
  status = find(ConstPage{buffer.first(page)}, offset, piece, &header, &record);
  if (!ok(status)) {
    co_return status;
  }
  // A checksum covers a page of the payload, and the device reads whole blocks. So what is read
  // begins and ends a little outside of what is wanted.
  const std::uint64_t payload = offset + record.payload;
  const std::uint64_t payload_bytes = payload_of(record, contents_.block());
  const std::uint64_t least = device_.logical_block();
  std::uint64_t at = piece.source.payload - payload;
  const std::uint64_t end = at + to.size();
  std::size_t done = 0;
  while (at < end) {
    const std::uint64_t first = at / page * page;
    const std::uint64_t last =
        std::min({round_up(end, page), payload_bytes, first + buffer.size() - 2 * page});
    const std::uint64_t from = (payload + first) / least * least;
    const std::uint64_t until = round_up(payload + last, least);
    status = co_await device_.read(from, buffer.first(until - from));
    if (!ok(status)) {
      co_return status;
    }
    const std::span<std::byte> bytes = buffer.subspan(payload + first - from, last - first);
    Record part = record;
    part.first_checksum += static_cast<std::uint32_t>(first / page);
    if (!is_payload(header, part, bytes)) {
      co_return refuse(piece, "the data is not what was written");
    }
    const std::uint64_t length = std::min(last, end) - at;
    io::copy(to.slice(done, length), std::span<const std::byte>{bytes.subspan(at - first, length)});
    done += length;
    at += length;
  }
  co_return IoStatus::ok;
}

}  // namespace ballast::write_log
