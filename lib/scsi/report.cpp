// SPDX-License-Identifier: Apache-2.0
// READ CAPACITY, LOG SENSE, READ DEFECT DATA, and the commands that report which commands there
// are.
#include <algorithm>
#include <chrono>

#include "lib/scsi/cdb.h"
#include "lib/scsi/disk.h"
#include "lib/watch/initiator.h"

namespace ballast::scsi {

namespace {

constexpr std::size_t timeouts_length = 12;

std::uint32_t seconds(Nanoseconds time) {
  constexpr std::uint64_t most = 0xffffffff;
  const auto count = std::chrono::ceil<std::chrono::seconds>(time).count();
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(static_cast<std::uint64_t>(count), most));
}

constexpr std::size_t command_descriptor = 8;
constexpr std::size_t most_operations = 64;

}  // namespace

Status Disk::read_capacity_10(Command& command) {
  const std::uint64_t last = volume_.capacity().value() - 1;
  std::array<std::uint8_t, 8> data{};
  put32(data, 0, std::min<std::uint64_t>(last, 0xffffffff));
  put32(data, 4, volume_.logical_block().value());
  return reply(command, data, data.size());
}

Status Disk::read_capacity_16(Command& command) {
  std::array<std::uint8_t, 32> data{};
  put64(data, 0, volume_.capacity().value() - 1);
  put32(data, 8, volume_.logical_block().value());
  data[13] = static_cast<std::uint8_t>(config_.physical_block_exponent);
  data[14] = static_cast<std::uint8_t>((unmaps() ? 0x80 : 0) |               // LBPME
                                       (unmapped_reads_zero() ? 0x40 : 0));  // LBPRZ
  return reply(command, data, be32(command.cdb, 10));
}

Statistics Disk::statistics() const {
  Statistics all = statistics_ != nullptr ? statistics_->statistics() : Statistics{};
  all.read_errors = read_errors_;
  all.write_errors = write_errors_;
  all.tells_room = volume_.capabilities().room;
  all.room = room_;
  return all;
}

Status Disk::log_sense(Command& command) {
  constexpr std::uint8_t cumulative_values = 0x40;  // PC
  const std::uint8_t page = command.cdb[2] & 0x3f;
  const std::uint8_t subpage = command.cdb[3];
  if ((command.cdb[2] & 0xc0) != cumulative_values) {
    return fail(command, invalid_field_in_cdb(2, 7));
  }
  const Statistics done = statistics();
  if (!has_log_page(page, 0, done.tells_room)) {
    return fail(command, invalid_field_in_cdb(2, 5));
  }
  if (!has_log_page(page, subpage, done.tells_room)) {
    return fail(command, invalid_field_in_cdb(3));
  }
  std::array<std::uint8_t, longest_log_page> data{};
  const std::optional<std::size_t> length =
      put_log_page(page, subpage, be16(command.cdb, 5), done, volume_.logical_block(), data);
  if (!length) {
    return fail(command, invalid_field_in_cdb(5));
  }
  return reply(command, std::span{data}.first(*length), be16(command.cdb, 7));
}

// SBC-4, 5.18 and 5.19. There is no defect, whichever list is asked for and in which format.
Status Disk::read_defect_data(Command& command) {
  const bool ten = cdb_length(command.cdb[0]) == 10;
  const std::size_t asked_at = ten ? 2 : 1;
  const std::uint8_t asked = command.cdb[asked_at];
  constexpr std::uint8_t formats = 6;  // 6 is the vendor's own, and 7 is reserved
  if ((asked & 0x07) >= formats) {
    return fail(command, invalid_field_in_cdb(asked_at, 2));
  }
  std::array<std::uint8_t, 8> data{};
  data[1] = asked;  // PLISTV, GLISTV and the format are where the CDB has what it asks
  return reply(command, std::span{data}.first(ten ? 4 : 8),
               ten ? be16(command.cdb, 7) : be32(command.cdb, 6));
}

// Whether a command is answered at its deadline at the latest: BUSY, if the store has not done it
// by then. (In a freeze that is longer than busy_for it is held; then the initiator's timer and its
// abort, which is answered at once, must end it.) The kernel has no deadline. A change that must
// not be done twice is held until it ends, and so is one whose store others may change meanwhile.
bool Disk::keeps_deadline(const Operation& operation) const {
  const bool served = operation.immediate != nullptr || operation.suspending != nullptr;
  return served && operation.suspending != &Disk::compare_and_write &&
         (!operation.changes_medium || volume_.capabilities().exclusive);
}

// A command timeouts descriptor (SPC-5, 6.35.4): the nominal command processing timeout and the
// recommended command timeout, in seconds; 0: not indicated.
void Disk::put_timeouts(const Operation& operation, std::span<std::uint8_t> to) const {
  put16(to, 0, timeouts_length - 2);
  if (deadline_ > Nanoseconds{} && keeps_deadline(operation)) {
    put32(to, 4, seconds(deadline_));
    put32(to, 8, seconds(deadline_ + watch::answer_margin));
  }
}

// The one_command format (SPC-5, 6.35.3).
std::size_t Disk::describe(const Operation& operation, bool timeouts,
                           std::span<std::uint8_t> out) const {
  constexpr std::size_t header = 4;
  const std::size_t length = cdb_length(operation.opcode);
  out[1] = timeouts ? 0x83 : 0x03;  // CTDP; supported in conformance with the standard
  put16(out, 2, length);
  for (std::size_t i = 0; i < length; ++i) {
    out[header + i] = usage(operation, i);
  }
  if (!timeouts) {
    return header + length;
  }
  put_timeouts(operation, out.subspan(header + length, timeouts_length));
  return header + length + timeouts_length;
}

// The all_commands format (SPC-5, 6.35.2).
Status Disk::report_all_operations(Command& command, bool timeouts, std::size_t allocation_length) {
  std::array<std::uint8_t, 4 + most_operations*(command_descriptor + timeouts_length)> data{};
  BALLAST_ASSERT(operations().size() + kernel_operations().size() <= most_operations);
  std::size_t length = 4;
  for (const std::span<const Operation> rows : {operations(), kernel_operations()}) {
    for (const Operation& operation : rows) {
      if (!supports(operation)) {
        continue;
      }
      const std::span<std::uint8_t> entry = std::span{data}.subspan(length);
      entry[0] = operation.opcode;
      put16(entry, 2, operation.service_action);
      entry[5] = static_cast<std::uint8_t>((timeouts ? 0x02 : 0) |
                                           (operation.has_service_action ? 0x01 : 0));
      put16(entry, 6, cdb_length(operation.opcode));
      length += command_descriptor;
      if (timeouts) {
        put_timeouts(operation, entry.subspan(command_descriptor));
        length += timeouts_length;
      }
    }
  }
  put32(data, 0, length - 4);
  return reply(command, std::span{data}.first(length), allocation_length);
}

Status Disk::report_supported_operation_codes(Command& command) {
  constexpr std::uint8_t not_supported = 0x01;
  const bool timeouts = (command.cdb[2] & 0x80) != 0;
  const std::uint8_t options = command.cdb[2] & 0x07;
  const std::uint8_t opcode = command.cdb[3];
  const std::uint16_t action = be16(command.cdb, 4);
  const std::size_t allocation_length = be32(command.cdb, 6);
  if (options > 3) {
    return fail(command, invalid_field_in_cdb(2, 2));
  }
  if (options == 0) {
    return report_all_operations(command, timeouts, allocation_length);
  }
  std::array<std::uint8_t, 4 + 16 + timeouts_length> data{};
  if (!reports_opcode(opcode)) {
    data[1] = not_supported;
    return reply(command, std::span{data}.first(4), allocation_length);
  }
  bool known_by_others = false;
  const bool small = action <= service_action_mask;
  const Operation* operation = find_reported(
      opcode, small ? static_cast<std::uint8_t>(action) : std::uint8_t{0}, &known_by_others);
  const bool has_actions =
      known_by_others || (operation != nullptr && operation->has_service_action);
  if (options == 1 && has_actions) {
    return fail(command, invalid_field_in_cdb(2, 2));
  }
  if (options == 2 && operation != nullptr && !has_actions) {
    return fail(command, invalid_field_in_cdb(2, 2));
  }
  if (options == 3 && !has_actions && action != 0) {
    operation = nullptr;
  }
  if (has_actions && !small) {
    operation = nullptr;
  }
  if (operation == nullptr || !supports(*operation)) {
    data[1] = not_supported;
    return reply(command, std::span{data}.first(4), allocation_length);
  }
  const std::size_t length = describe(*operation, timeouts, data);
  return reply(command, std::span{data}.first(length), allocation_length);
}

// The functions that the kernel's target core carries out for us (target_core_tmr.c): ABORT TASK,
// LUN RESET.
Status Disk::report_supported_task_management(Command& command) {
  const bool extended = (command.cdb[2] & 0x80) != 0;
  const std::size_t allocation_length = be32(command.cdb, 6);
  if (allocation_length < 4) {
    return fail(command, invalid_field_in_cdb(6));
  }
  std::array<std::uint8_t, 16> data{};
  data[0] = 0x88;  // ATS, LURS
  const std::size_t length = extended ? data.size() : 4;
  data[3] = static_cast<std::uint8_t>(length - 4);
  return reply(command, std::span{data}.first(length), allocation_length);
}

}  // namespace ballast::scsi
