// SPDX-License-Identifier: Apache-2.0
// The commands that read, write and compare blocks.
#include <algorithm>

#include "lib/scsi/cdb.h"
#include "lib/scsi/disk.h"

namespace ballast::scsi {

namespace {

constexpr std::uint8_t bytchk(std::uint8_t flags) {
  return (flags >> 1) & 0x03;
}

}  // namespace

bool Disk::asks_fua(const Command& command) {
  constexpr std::uint8_t fua_and_fua_nv = 0x0a;
  return cdb_length(command.cdb[0]) != 6 && (command.cdb[1] & fua_and_fua_nv) != 0;
}

std::optional<Status> Disk::refuse_range(Command& command, Range range) {
  if (fits(range.lba.value(), range.count.value(), volume_.capacity())) {
    return std::nullopt;
  }
  return fail(command, illegal_request(asc::lba_out_of_range));
}

std::optional<Status> Disk::refuse_transfer(Command& command, Range range, Bytes data) {
  const std::optional<Status> outside = refuse_range(command, range);
  if (outside.has_value()) {
    return outside;
  }
  if (range.count.value() > largest_transfer_) {
    return fail(command, invalid_field_in_cdb(count_at(cdb_length(command.cdb[0]))));
  }
  if (command.data.size() < data.value()) {
    return fail(command, illegal_request(asc::invalid_field_in_command_information_unit));
  }
  return std::nullopt;
}

std::optional<Status> Disk::end_at_once(Command& command, Bytes data) {
  const std::optional<Status> refused = refuse_transfer(command, command.range, data);
  return refused.has_value() || command.range.count.value() > 0 ? refused : Status::good;
}

co::Task<IoStatus> Disk::begin_transfer(Command& command, const Operation& operation) {
  const Range range = command.range;
  if (operation.transfer == Transfer::other) {
    return {};
  }
  const bool reads = operation.transfer == Transfer::read;
  const Bytes length = bytes_of(range.count);
  const bool fua = asks_fua(command);
  if (range.count.value() == 0 || (reads && fua && volume_.capabilities().volatile_cache) ||
      refuse_transfer(command, range, length).has_value()) {
    return {};
  }
  const io::SgView data = command.data.slice(0, length.value());
  return reads ? volume_.read(request_of(command), range.lba, data)
               : volume_.write(request_of(command), range.lba, data, durability(fua));
}

Status Disk::end_transfer(Command& command, const Operation& operation, IoStatus status) {
  if (ok(status) || operation.takes_data) {
    command.transferred = bytes_of(command.range.count).value();
  }
  return finish(command, status, command.range.lba, operation.changes_medium);
}

co::Task<Status> Disk::read(Command& command) {
  const Range range = command.range;
  const Bytes length = bytes_of(range.count);
  const std::optional<Status> ended = end_at_once(command, length);
  if (ended.has_value()) {
    co_return *ended;
  }
  // FUA must read from the medium, so cached data is written there first (SBC-4, 5.15).
  if (asks_fua(command)) {
    const IoStatus flushed = co_await volume_.flush(request_of(command));
    if (!ok(flushed)) {
      co_return finish(command, flushed, range.lba, true);
    }
  }
  const IoStatus status =
      co_await volume_.read(request_of(command), range.lba, command.data.slice(0, length.value()));
  if (ok(status)) {
    command.transferred = length.value();
  }
  co_return finish(command, status, range.lba, false);
}

co::Task<Status> Disk::write(Command& command) {
  const Range range = command.range;
  const Bytes length = bytes_of(range.count);
  const std::optional<Status> ended = end_at_once(command, length);
  if (ended.has_value()) {
    co_return *ended;
  }
  const io::SgView data = command.data.slice(0, length.value());
  command.transferred = length.value();
  const IoStatus status =
      co_await volume_.write(request_of(command), range.lba, data, durability(asks_fua(command)));
  co_return finish(command, status, range.lba, true);
}

co::Task<Status> Disk::write_and_verify(Command& command) {
  const Range range = command.range;
  const Bytes length = bytes_of(range.count);
  const std::optional<Status> ended = end_at_once(command, length);
  if (ended.has_value()) {
    co_return *ended;
  }
  const io::SgView data = command.data.slice(0, length.value());
  const IoStatus written =
      co_await volume_.write(request_of(command), range.lba, data, backend::Fua::yes);
  if (!ok(written)) {
    co_return finish(command, written, range.lba, true);
  }
  command.transferred = length.value();
  if (bytchk(command.cdb[1]) == 0) {
    const IoStatus status = co_await volume_.verify(request_of(command), range.lba, range.count);
    co_return finish(command, status, range.lba, false);
  }
  const volume::Comparison found = co_await volume_.compare(request_of(command), range.lba, data);
  co_return finish(command, found, range.lba, false);
}

co::Task<Status> Disk::verify(Command& command) {
  const Range range = command.range;
  const std::uint8_t check = bytchk(command.cdb[1]);
  if (check == 2) {
    co_return fail(command, invalid_field_in_cdb(1, 2));
  }
  // BYTCHK 3: one block of data, which each block of the range must have.
  const BlockCount blocks = check == 3 ? std::min(range.count, BlockCount{1}) : range.count;
  const Bytes length = check == 0 ? Bytes{} : bytes_of(blocks);
  const std::optional<Status> ended = end_at_once(command, length);
  if (ended.has_value()) {
    co_return *ended;
  }
  command.transferred = length.value();
  if (check == 0) {
    const IoStatus status = co_await volume_.verify(request_of(command), range.lba, range.count);
    co_return finish(command, status, range.lba, false);
  }
  const io::SgView data = command.data.slice(0, length.value());
  if (check == 1) {
    const volume::Comparison found = co_await volume_.compare(request_of(command), range.lba, data);
    co_return finish(command, found, range.lba, false);
  }
  const volume::Comparison found =
      co_await volume_.compare_same(request_of(command), range.lba, range.count, data);
  co_return finish(command, found, range.lba, false);
}

// There is no cache to fetch into. GOOD is the status for this case (SBC-4, 5.11).
Status Disk::pre_fetch(Command& command) {
  const std::optional<Status> refused = refuse_range(command, command.range);
  return refused.value_or(Status::good);
}

// Checks the range, and then flushes everything. With IMMED it is answered only when that is done,
// too.
co::Task<Status> Disk::synchronize_cache(Command& command) {
  const Range range = command.range;
  const std::optional<Status> refused = refuse_range(command, range);
  if (refused.has_value()) {
    co_return *refused;
  }
  const IoStatus status = co_await volume_.flush(request_of(command));
  co_return finish(command, status, range.lba, true);
}

std::uint8_t Disk::compare_and_write_max_blocks() const {
  constexpr std::uint32_t most = 128;
  const std::uint32_t limit = config_.max_transfer_blocks;
  return static_cast<std::uint8_t>(limit == 0 ? most : std::min(limit, most));
}

co::Task<Status> Disk::compare_and_write(Command& command) {
  const Range range = command.range;
  const std::optional<Status> outside = refuse_range(command, range);
  if (outside.has_value()) {
    co_return *outside;
  }
  if (range.count.value() > compare_and_write_max_blocks()) {
    co_return fail(command, invalid_field_in_cdb(13));
  }
  if (range.count.value() == 0) {
    co_return Status::good;
  }
  const std::size_t length = bytes_of(range.count).value();
  if (command.data.size() != 2 * length) {
    co_return fail(command, illegal_request(asc::invalid_field_in_command_information_unit));
  }
  const io::SgView expected = command.data.slice(0, length);
  const io::SgView data = command.data.slice(length, length);
  command.transferred = 2 * length;
  const volume::Comparison found = co_await volume_.compare_and_write(
      request_of(command), range.lba, expected, data, durability(asks_fua(command)));
  co_return finish(command, found, range.lba, found.wrote);
}

}  // namespace ballast::scsi
