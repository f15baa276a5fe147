// SPDX-License-Identifier: Apache-2.0
// MODE SENSE and MODE SELECT, 6 and 10: headers, block descriptors, and the fields of the CDB.
#include <algorithm>

#include "lib/scsi/cdb.h"
#include "lib/scsi/disk.h"

namespace ballast::scsi {

namespace {

constexpr std::size_t short_header = 4;
constexpr std::size_t long_header = 8;
constexpr std::size_t short_descriptor = 8;
constexpr std::size_t long_descriptor = 16;
constexpr std::uint8_t wp = 0x80;
constexpr std::uint8_t dpofua = 0x10;

// SP of a MODE SELECT: its values are to be saved.
bool asks_to_save(const Command& command) {
  return (command.cdb[1] & 0x01) != 0;
}

// SBC-4, 6.5.2. Returns the length.
std::size_t put_block_descriptor(std::span<std::uint8_t> to, BlockCount capacity, Bytes block,
                                 bool long_lba) {
  if (long_lba) {
    put64(to, 0, capacity.value());
    put32(to, 12, block.value());
    return long_descriptor;
  }
  put32(to, 0, std::min<std::uint64_t>(capacity.value(), 0xffffffff));
  put_big_endian<3>(to, 5, block.value());
  return short_descriptor;
}

// Neither the size nor the block length can be set. So the descriptor must have the current values,
// or a count of 0 or all ones.
std::optional<Sense> judge_block_descriptor(std::span<const std::uint8_t> descriptor,
                                            std::size_t offset, BlockCount capacity, Bytes block) {
  const bool long_lba = descriptor.size() == long_descriptor;
  const std::uint64_t count = long_lba ? be64(descriptor, 0) : be32(descriptor, 0);
  const std::uint64_t all_ones = long_lba ? ~std::uint64_t{0} : 0xffffffff;
  if (count != 0 && count != all_ones && count != capacity.value()) {
    return invalid_field_in_parameter_list(offset);
  }
  const std::size_t length_at = long_lba ? 12 : 5;
  const std::uint64_t length = long_lba ? be32(descriptor, 12) : be24(descriptor, 5);
  if (length != block.value()) {
    return invalid_field_in_parameter_list(offset + length_at);
  }
  return std::nullopt;
}

}  // namespace

Status Disk::mode_sense(Command& command) {
  const bool six = cdb_length(command.cdb[0]) == 6;
  const bool no_descriptor = (command.cdb[1] & 0x08) != 0;
  const bool long_lba = (command.cdb[1] & 0x10) != 0;
  const auto which = static_cast<PageControl>(command.cdb[2] >> 6);
  const std::uint8_t page = command.cdb[2] & 0x3f;
  if (!modes_.has(page, 0)) {
    return fail(command, invalid_field_in_cdb(2, 5));
  }
  const std::uint8_t subpage = command.cdb[3];
  if (!modes_.has(page, subpage)) {
    return fail(command, invalid_field_in_cdb(3));
  }
  if (which == PageControl::saved && !modes_.saves()) {
    return fail(command, illegal_request(asc::saving_parameters_not_supported));
  }
  std::array<std::uint8_t, long_header + long_descriptor + ModePages::longest> data{};
  const std::size_t header = six ? short_header : long_header;
  std::size_t descriptor = 0;
  if (!no_descriptor) {
    descriptor = put_block_descriptor(std::span{data}.subspan(header), volume_.capacity(),
                                      volume_.logical_block(), long_lba);
  }
  const std::size_t before = header + descriptor;
  const std::size_t length =
      before + modes_.read(page, subpage, which, std::span{data}.subspan(before));
  const auto specific = static_cast<std::uint8_t>(dpofua | (write_protected() ? wp : 0));
  if (six) {
    data[0] = static_cast<std::uint8_t>(length - 1);
    data[2] = specific;
    data[3] = static_cast<std::uint8_t>(descriptor);
    return reply(command, std::span{data}.first(length), command.cdb[4]);
  }
  put16(data, 0, length - 2);
  data[3] = specific;
  data[4] = long_lba && descriptor != 0 ? 0x01 : 0x00;  // LONGLBA
  put16(data, 6, descriptor);
  return reply(command, std::span{data}.first(length), be16(command.cdb, 7));
}

Disk::ModeList Disk::read_mode_list(const Command& command) const {
  constexpr std::uint8_t page_format = 0x10;
  ModeList result;
  const bool six = cdb_length(command.cdb[0]) == 6;
  const std::size_t header = six ? short_header : long_header;
  const std::size_t length = six ? command.cdb[4] : be16(command.cdb, 7);
  if ((command.cdb[1] & page_format) == 0) {
    result.error = invalid_field_in_cdb(1, 4);
    return result;
  }
  if (asks_to_save(command) && !modes_.saves()) {
    result.error = invalid_field_in_cdb(1, 0);
    return result;
  }
  if (length == 0) {
    return result;
  }
  std::array<std::uint8_t, 255> bytes;
  if (length < header || length > bytes.size()) {
    result.error = illegal_request(asc::parameter_list_length_error);
    return result;
  }
  if (command.data.size() < length) {
    result.error = illegal_request(asc::invalid_field_in_command_information_unit);
    return result;
  }
  const std::span<std::uint8_t> list = std::span{bytes}.first(length);
  io::copy(std::as_writable_bytes(list), command.data.slice(0, length));
  result.length = length;
  // In MODE SELECT, MODE DATA LENGTH and PS are reserved, and WP and DPOFUA have no meaning.
  // Initiators send back what MODE SENSE gave them, so these fields are ignored.
  const std::size_t type_at = six ? 1 : 2;
  if (list[type_at] != 0) {
    result.error = invalid_field_in_parameter_list(type_at);
    return result;
  }
  const std::size_t descriptor_at = six ? 3 : 6;
  const std::size_t descriptor = six ? list[3] : be16(list, 6);
  const bool long_lba = !six && (list[4] & 0x01) != 0;
  const std::size_t whole = long_lba ? long_descriptor : short_descriptor;
  if (descriptor != 0 && descriptor != whole) {
    result.error = invalid_field_in_parameter_list(descriptor_at);
    return result;
  }
  if (length < header + descriptor) {
    result.error = illegal_request(asc::parameter_list_length_error);
    return result;
  }
  if (descriptor != 0) {
    result.error = judge_block_descriptor(list.subspan(header, descriptor), header,
                                          volume_.capacity(), volume_.logical_block());
  }
  if (!result.error.has_value()) {
    result.error =
        modes_.judge(list.subspan(header + descriptor), header + descriptor, &result.selection);
  }
  return result;
}

Status Disk::mode_select(Command& command) {
  const ModeList list = read_mode_list(command);
  if (list.error.has_value()) {
    return fail(command, *list.error);
  }
  modes_.apply(list.selection, modes_.next_turn());  // it changes nothing that must be kept
  command.transferred = list.length;
  return Status::good;
}

bool Disk::changes_modes_late(Command& command) {
  const ModeList list = read_mode_list(command);
  if (list.error.has_value()) {
    return false;
  }
  const std::uint64_t turn = modes_.next_turn();
  const bool flushes = modes_.write_cache() && list.selection.turns_cache_off();
  const bool keeps =
      modes_.saves() && (!modes_are_kept_ || modes_.after(list.selection, turn) != modes_.values());
  if (flushes || keeps) {
    command.turn = turn;
  }
  return flushes || keeps;
}

// If the cache is turned off and this answers GOOD, nothing that was acknowledged is only in a
// cache any more (SBC-4, 6.5.6: WCE 0).
co::Task<Status> Disk::change_modes(Command& command) {
  const ModeList list = read_mode_list(command);
  if (list.error.has_value()) {
    co_return fail(command, *list.error);
  }
  const bool flushes = modes_.write_cache() && list.selection.turns_cache_off();
  turning_cache_off_ += flushes ? 1 : 0;
  IoStatus status = IoStatus::ok;
  if (flushes) {
    status = co_await volume_.flush_all(request_of(command));
  }
  if (ok(status)) {
    status = co_await keep_and_apply(command, list.selection);
  }
  turning_cache_off_ -= flushes ? 1 : 0;
  if (ok(status)) {
    command.transferred = list.length;
  }
  co_return finish(command, status, Lba{0}, true);
}

// The values are kept first: what is answered GOOD outlives the daemon. If they cannot be kept, a
// command that asks to save them fails, and any other one changes them all the same. A command that
// fails or is answered BUSY meanwhile must have no effect, so then the values that hold are kept
// again.
co::Task<IoStatus> Disk::keep_and_apply(Command& command, ModePages::Selection selection) {
  const co::Mutex::Guard alone = co_await mode_changes_.lock();
  ModePages::Values kept = modes_.values();
  const ModePages::Values wanted = modes_.after(selection, command.turn);
  const bool keeps = modes_.saves() && (wanted != kept || !modes_are_kept_);
  if (keeps && !request_of(command).stopped()) {
    kept = wanted;
    modes_are_kept_ = co_await config_.mode_keeper->keep(wanted);
  }
  const bool stopped = request_of(command).stopped();
  const bool unsaved = asks_to_save(command) && !modes_are_kept_;
  if (!stopped && !unsaved) {
    modes_.apply(selection, command.turn);
  }
  if (modes_.saves() && kept != modes_.values()) {
    modes_are_kept_ = co_await config_.mode_keeper->keep(modes_.values());
  }
  if (stopped) {
    co_return IoStatus::cancelled;
  }
  co_return unsaved ? IoStatus::not_supported : IoStatus::ok;
}

}  // namespace ballast::scsi
