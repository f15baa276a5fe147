// SPDX-License-Identifier: Apache-2.0
// The commands of thin provisioning: WRITE SAME, UNMAP, GET LBA STATUS.
#include <algorithm>
#include <array>
#include <vector>

#include "lib/scsi/cdb.h"
#include "lib/scsi/disk.h"

namespace ballast::scsi {

namespace {

constexpr std::size_t most_unmap_descriptors = 64;
constexpr std::size_t unmap_header = 8;
constexpr std::size_t unmap_descriptor = 16;

void read_list(io::SgView data, std::size_t offset, std::span<std::uint8_t> to) {
  io::copy(std::as_writable_bytes(to), data.slice(offset, to.size()));
}

}  // namespace

std::uint64_t Disk::write_same_max_blocks() const {
  return volume_.blocks_in(config_.write_same_max).value();
}

std::uint32_t Disk::unmap_max_blocks() const {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(volume_.blocks_in(config_.unmap_max).value(), 0xffffffff));
}

co::Task<IoStatus> Disk::settle(Command& command, IoStatus status, std::uint64_t since) {
  if (ok(status) && writes_through() && volume_.capabilities().volatile_cache) {
    status = co_await volume_.flush(request_of(command), since);
  }
  co_return status;
}

co::Task<Status> Disk::write_same(Command& command) {
  constexpr std::uint8_t unmap_bit = 0x08;
  const Range range = command.range;
  // WSNZ is 1, so a count of 0 does not mean "up to the end". A count beyond the limit is refused,
  // too.
  if (range.count.value() == 0 || range.count.value() > write_same_max_blocks()) {
    co_return fail(command, invalid_field_in_cdb(count_at(cdb_length(command.cdb[0]))));
  }
  const std::optional<Status> outside = refuse_range(command, range);
  if (outside.has_value()) {
    co_return *outside;
  }
  const auto may_unmap =
      (command.cdb[1] & unmap_bit) != 0 ? backend::MayUnmap::yes : backend::MayUnmap::no;
  const std::size_t block = volume_.logical_block().value();
  if (command.data.size() != block) {
    co_return fail(command, illegal_request(asc::invalid_field_in_command_information_unit));
  }
  command.transferred = block;
  const std::uint64_t mark = volume_.flush_mark();
  IoStatus status = co_await volume_.write_same(request_of(command), range.lba, range.count,
                                                command.data, may_unmap);
  status = co_await settle(command, status, mark);
  co_return finish(command, status, range.lba, true);
}

// It is no error if the CDB cuts the list short, or if the last descriptor is not whole: the whole
// descriptors count (SBC-4, 5.35). The whole list is checked before anything is unmapped.
co::Task<Status> Disk::unmap(Command& command) {
  const std::size_t list_length = be16(command.cdb, 7);
  if (list_length == 0) {
    co_return Status::good;
  }
  if (list_length < unmap_header) {
    co_return fail(command, illegal_request(asc::parameter_list_length_error));
  }
  if (command.data.size() < list_length) {
    co_return fail(command, illegal_request(asc::invalid_field_in_command_information_unit));
  }
  std::array<std::uint8_t, unmap_descriptor> bytes;
  read_list(command.data, 0, std::span{bytes}.first(unmap_header));
  constexpr std::size_t after_data_length = unmap_header - 2;
  const std::size_t claimed =
      be16(bytes, 0) < after_data_length ? std::size_t{0} : be16(bytes, 0) - after_data_length;
  const std::size_t count =
      std::min({list_length - unmap_header, claimed, std::size_t{be16(bytes, 2)}}) /
      unmap_descriptor;
  static_assert(most_unmap_descriptors == 64);
  if (count > config_.unmap_descriptors) {
    co_return fail(command, invalid_field_in_parameter_list(2));
  }
  std::array<Range, most_unmap_descriptors> ranges;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = unmap_header + i * unmap_descriptor;
    read_list(command.data, at, bytes);
    ranges[i] = Range{Lba{be64(bytes, 0)}, BlockCount{be32(bytes, 8)}};
    total += ranges[i].count.value();
    if (total > unmap_max_blocks()) {
      co_return fail(command, invalid_field_in_parameter_list(at + 8));
    }
    if (ranges[i].count.value() == 0) {
      continue;
    }
    const std::optional<Status> outside = refuse_range(command, ranges[i]);
    if (outside.has_value()) {
      co_return *outside;
    }
  }
  command.transferred = list_length;
  const std::uint64_t mark = volume_.flush_mark();
  IoStatus status = IoStatus::ok;
  Lba failed = count > 0 ? ranges[0].lba : Lba{0};  // if it is the flush, any may be lost
  for (std::size_t i = 0; i < count && ok(status); ++i) {
    if (ranges[i].count.value() > 0) {
      status = co_await volume_.unmap(request_of(command), ranges[i].lba, ranges[i].count);
      failed = ok(status) ? failed : ranges[i].lba;
    }
  }
  status = co_await settle(command, status, mark);
  co_return finish(command, status, failed, true);
}

co::Task<Status> Disk::get_lba_status(Command& command) {
  constexpr std::size_t most_extents = 64;
  constexpr std::size_t header = 8;
  constexpr std::size_t descriptor = 16;
  const Lba from = command.range.lba;
  const std::optional<Status> outside = refuse_range(command, Range{from, BlockCount{1}});
  if (outside.has_value()) {
    co_return *outside;
  }
  const BlockCount all = volume_.capacity() - (from - Lba{0});
  const BlockCount asked = std::min(all, BlockCount{0xffffffff});
  std::vector<backend::Extent> extents;
  const IoStatus status =
      co_await volume_.block_status(request_of(command), from, asked, most_extents, &extents);
  if (!ok(status)) {
    co_return finish(command, status, from, false);
  }
  std::array<std::uint8_t, header + most_extents * descriptor> data{};
  const std::uint64_t block = volume_.logical_block().value();
  std::size_t length = header;
  std::uint64_t begin = from.value();
  const std::uint64_t end = begin + asked.value();
  for (const backend::Extent& extent : extents) {
    // A block that is allocated only in part counts as mapped.
    const std::uint64_t bytes_end = (extent.offset + extent.length).value();
    const std::uint64_t until =
        std::min(end, extent.allocated ? (bytes_end + block - 1) / block : bytes_end / block);
    if (until <= begin) {
      continue;
    }
    const std::span<std::uint8_t> entry = std::span{data}.subspan(length, descriptor);
    put64(entry, 0, begin);
    put32(entry, 8, until - begin);
    entry[12] = extent.allocated ? 0 : 1;
    length += descriptor;
    begin = until;
  }
  put32(data, 0, length - 4);
  co_return reply(command, std::span{data}.first(length), be32(command.cdb, 10));
}

}  // namespace ballast::scsi
