// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/opcode_table.h"

#include <algorithm>

#include "lib/scsi/cdb.h"
#include "lib/scsi/disk.h"

namespace ballast::scsi {

namespace {

using Usage = std::array<std::uint8_t, 16>;

// DPO, FUA, and FUA_NV. FUA_NV is obsolete and treated as FUA.
constexpr std::uint8_t dpo_fua = 0x1a;
// GROUP NUMBER: any value is accepted and ignored.
constexpr std::uint8_t group = 0x1f;

// The usual layouts. `flags` is the map of byte 1.
constexpr Usage usage_6(std::uint8_t opcode, std::uint8_t flags, std::uint8_t b2, std::uint8_t b3,
                        std::uint8_t b4) {
  return {opcode, flags, b2, b3, b4};
}
constexpr Usage lba_10(std::uint8_t opcode, std::uint8_t flags) {
  return {opcode, flags, 0xff, 0xff, 0xff, 0xff, group, 0xff, 0xff};
}
constexpr Usage lba_12(std::uint8_t opcode, std::uint8_t flags) {
  return {opcode, flags, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, group};
}
constexpr Usage lba_16(std::uint8_t opcode, std::uint8_t flags) {
  return {opcode, flags, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff,   0xff,  0xff, 0xff, 0xff, 0xff, group};
}

constexpr Operation row(const char* name, Usage usage) {
  Operation operation;
  operation.opcode = usage[0];
  operation.name = name;
  operation.usage = usage;
  return operation;
}
constexpr Operation immediate(const char* name, Usage usage, Operation::Immediate handler) {
  Operation operation = row(name, usage);
  operation.immediate = handler;
  return operation;
}
constexpr Operation in_spite_of_attention(Operation operation) {
  operation.answers_unit_attention = false;
  return operation;
}
constexpr Operation on_medium(Operation operation) {
  operation.needs_medium = true;
  return operation;
}
constexpr Operation with_service_action(Operation operation) {
  operation.has_service_action = true;
  operation.service_action = operation.usage[1] & service_action_mask;
  return operation;
}
constexpr Operation suspending(const char* name, Usage usage, Operation::Suspending handler) {
  Operation operation = row(name, usage);
  operation.suspending = handler;
  return operation;
}
constexpr Operation ranged(RangeAt range, Operation operation) {
  operation.range = range;
  return operation;
}
constexpr Operation reading(const char* name, Usage usage, Operation::Suspending handler) {
  return ranged(RangeAt::usual, on_medium(suspending(name, usage, handler)));
}
constexpr Operation changing(const char* name, Usage usage, Operation::Suspending handler) {
  Operation operation = reading(name, usage, handler);
  operation.changes_medium = true;
  operation.takes_data = true;
  return operation;
}
constexpr Operation checking(const char* name, Usage usage, Operation::Suspending handler) {
  Operation operation = reading(name, usage, handler);
  operation.takes_data = true;
  return operation;
}
constexpr Operation repeatable(Operation operation) {
  operation.repeats = true;
  return operation;
}
constexpr Operation with_data(Operation operation) {
  operation.takes_data = true;
  return operation;
}
constexpr Operation flushing(Operation operation) {
  operation.flushes = true;
  return operation;
}
constexpr Operation read(const char* name, Usage usage) {
  Operation operation = reading(name, usage, &Disk::read);
  operation.transfer = Transfer::read;
  return operation;
}
constexpr Operation write(const char* name, Usage usage) {
  Operation operation = repeatable(changing(name, usage, &Disk::write));
  operation.transfer = Transfer::write;
  return operation;
}
constexpr Operation mode_select(const char* name, Usage usage) {
  Operation operation = immediate(name, usage, &Disk::mode_select);
  operation.suspending = &Disk::change_modes;
  operation.takes_data = true;
  operation.changes_modes = true;
  return operation;
}
constexpr Operation if_lun(Needs needs, Operation operation) {
  operation.needs = needs;
  return operation;
}

// What SPC-4 (5.15.2.4.4) has a port in the state "standby" serve. READ CAPACITY and the commands
// that report commands are not in its list. Initiators send them when they find a path, and take a
// path without a capacity for broken; LIO serves READ CAPACITY as well (target_core_alua.c).
constexpr Operation in_standby(Operation operation) {
  operation.in_standby = true;
  return operation;
}

constexpr Operation table[] = {
    immediate("TEST UNIT READY", usage_6(0x00, 0, 0, 0, 0), &Disk::test_unit_ready),
    in_standby(in_spite_of_attention(
        immediate("REQUEST SENSE", usage_6(0x03, 0x01, 0, 0, 0xff), &Disk::request_sense))),
    read("READ (6)", usage_6(0x08, 0x1f, 0xff, 0xff, 0xff)),
    write("WRITE (6)", usage_6(0x0a, 0x1f, 0xff, 0xff, 0xff)),
    in_standby(in_spite_of_attention(
        immediate("INQUIRY", usage_6(0x12, 0x01, 0xff, 0xff, 0xff), &Disk::inquiry))),
    in_standby(mode_select("MODE SELECT (6)", usage_6(0x15, 0x11, 0, 0, 0xff))),
    in_standby(
        immediate("MODE SENSE (6)", usage_6(0x1a, 0x08, 0xff, 0xff, 0xff), &Disk::mode_sense)),
    suspending("START STOP UNIT", usage_6(0x1b, 0x01, 0, 0, 0x05), &Disk::start_stop_unit),
    // The map refuses a SELF-TEST CODE: no test goes on behind its answer. Nor is there a
    // diagnostic page, so PARAMETER LIST LENGTH is 0.
    on_medium(suspending("SEND DIAGNOSTIC", usage_6(0x1d, 0x17, 0, 0, 0), &Disk::send_diagnostic)),
    in_standby(on_medium(immediate("READ CAPACITY (10)", Usage{0x25}, &Disk::read_capacity_10))),
    read("READ (10)", lba_10(0x28, dpo_fua)),
    write("WRITE (10)", lba_10(0x2a, dpo_fua)),
    changing("WRITE AND VERIFY (10)", lba_10(0x2e, 0x12), &Disk::write_and_verify),
    checking("VERIFY (10)", lba_10(0x2f, 0x16), &Disk::verify),
    ranged(RangeAt::usual,
           on_medium(immediate("PRE-FETCH (10)", lba_10(0x34, 0x02), &Disk::pre_fetch))),
    flushing(reading("SYNCHRONIZE CACHE (10)", lba_10(0x35, 0x06), &Disk::synchronize_cache)),
    immediate("READ DEFECT DATA (10)", Usage{0x37, 0, 0x1f, 0, 0, 0, 0, 0xff, 0xff},
              &Disk::read_defect_data),
    repeatable(changing("WRITE SAME (10)", lba_10(0x41, 0x08), &Disk::write_same)),
    if_lun(Needs::unmap,
           ranged(RangeAt::nowhere,
                  repeatable(changing("UNMAP", Usage{0x42, 0, 0, 0, 0, 0, group, 0xff, 0xff},
                                      &Disk::unmap)))),
    in_standby(immediate("LOG SENSE", Usage{0x4d, 0, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff},
                         &Disk::log_sense)),
    in_standby(mode_select("MODE SELECT (10)", Usage{0x55, 0x11, 0, 0, 0, 0, 0, 0xff, 0xff})),
    in_standby(immediate("MODE SENSE (10)", Usage{0x5a, 0x18, 0xff, 0xff, 0, 0, 0, 0xff, 0xff},
                         &Disk::mode_sense)),
    // The CSCD descriptors of its list name LUNs.
    if_lun(Needs::name,
           with_service_action(ranged(RangeAt::nowhere, changing("EXTENDED COPY (LID1)",
                                                                 Usage{0x83, 0, 0, 0, 0, 0, 0, 0, 0,
                                                                       0, 0xff, 0xff, 0xff, 0xff},
                                                                 &Disk::extended_copy)))),
    // SPC-3 has a LIST IDENTIFIER in byte 2, which this service action ignores.
    if_lun(Needs::name, with_service_action(immediate(
                            "RECEIVE COPY OPERATING PARAMETERS",
                            Usage{0x84, 3, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
                            &Disk::receive_copy_operating_parameters))),
    read("READ (16)", lba_16(0x88, dpo_fua)),
    ranged(RangeAt::short_count, changing("COMPARE AND WRITE",
                                          Usage{0x89, dpo_fua, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                0xff, 0xff, 0, 0, 0, 0xff, group},
                                          &Disk::compare_and_write)),
    write("WRITE (16)", lba_16(0x8a, dpo_fua)),
    changing("WRITE AND VERIFY (16)", lba_16(0x8e, 0x12), &Disk::write_and_verify),
    checking("VERIFY (16)", lba_16(0x8f, 0x16), &Disk::verify),
    ranged(RangeAt::usual,
           on_medium(immediate("PRE-FETCH (16)", lba_16(0x90, 0x02), &Disk::pre_fetch))),
    flushing(reading("SYNCHRONIZE CACHE (16)", lba_16(0x91, 0x06), &Disk::synchronize_cache)),
    // The map has no NDOB. LIO write-protects a mapped LUN by refusing data-out, so a change
    // without data-out would get through.
    repeatable(changing("WRITE SAME (16)", lba_16(0x93, 0x08), &Disk::write_same)),
    in_standby(with_service_action(on_medium(immediate(
        "READ CAPACITY (16)", Usage{0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0},
        &Disk::read_capacity_16)))),
    if_lun(Needs::block_status,
           with_service_action(ranged(RangeAt::without_count,
                                      reading("GET LBA STATUS",
                                              Usage{0x9e, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0},
                                              &Disk::get_lba_status)))),
    in_standby(if_lun(Needs::groups, with_service_action(immediate(
                                         "REPORT TARGET PORT GROUPS",
                                         // 0x20: PARAMETER DATA FORMAT 000b and 001b
                                         Usage{0xa3, 0x2a, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0},
                                         &Disk::report_target_port_groups)))),
    in_standby(with_service_action(
        immediate("REPORT SUPPORTED OPERATION CODES",
                  Usage{0xa3, 0x0c, 0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0},
                  &Disk::report_supported_operation_codes))),
    in_standby(
        with_service_action(immediate("REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS",
                                      Usage{0xa3, 0x0d, 0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0},
                                      &Disk::report_supported_task_management))),
    in_standby(if_lun(Needs::groups, with_service_action(with_data(suspending(
                                         "SET TARGET PORT GROUPS",
                                         Usage{0xa4, 0x0a, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0},
                                         &Disk::set_target_port_groups))))),
    read("READ (12)", lba_12(0xa8, dpo_fua)),
    write("WRITE (12)", lba_12(0xaa, dpo_fua)),
    changing("WRITE AND VERIFY (12)", lba_12(0xae, 0x12), &Disk::write_and_verify),
    checking("VERIFY (12)", lba_12(0xaf, 0x16), &Disk::verify),
    // The list is empty, so any ADDRESS DESCRIPTOR INDEX is beyond its end.
    immediate("READ DEFECT DATA (12)",
              Usage{0xb7, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
              &Disk::read_defect_data),
};

constexpr Operation by_kernel(const char* name, Usage usage, Needs needs) {
  return if_lun(needs, row(name, usage));
}
constexpr Operation reserve_in(const char* name, std::uint8_t action) {
  return with_service_action(
      by_kernel(name, Usage{0x5e, action, 0, 0, 0, 0, 0, 0xff, 0xff}, Needs::kernel_reserves));
}
constexpr Operation reserve_out(const char* name, std::uint8_t action) {
  return with_service_action(by_kernel(
      name, Usage{0x5f, action, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff}, Needs::kernel_reserves));
}

constexpr Operation kernels_table[] = {
    by_kernel("RESERVE (6)", usage_6(0x16, 0, 0, 0, 0), Needs::kernel_reserves),
    by_kernel("RELEASE (6)", usage_6(0x17, 0, 0, 0, 0), Needs::kernel_reserves),
    by_kernel("RESERVE (10)", Usage{0x56}, Needs::kernel_reserves),
    by_kernel("RELEASE (10)", Usage{0x57}, Needs::kernel_reserves),
    reserve_in("PERSISTENT RESERVE IN, READ KEYS", 0x00),
    reserve_in("PERSISTENT RESERVE IN, READ RESERVATION", 0x01),
    reserve_in("PERSISTENT RESERVE IN, REPORT CAPABILITIES", 0x02),
    reserve_in("PERSISTENT RESERVE IN, READ FULL STATUS", 0x03),
    reserve_out("PERSISTENT RESERVE OUT, REGISTER", 0x00),
    reserve_out("PERSISTENT RESERVE OUT, RESERVE", 0x01),
    reserve_out("PERSISTENT RESERVE OUT, RELEASE", 0x02),
    reserve_out("PERSISTENT RESERVE OUT, CLEAR", 0x03),
    reserve_out("PERSISTENT RESERVE OUT, PREEMPT", 0x04),
    reserve_out("PERSISTENT RESERVE OUT, PREEMPT AND ABORT", 0x05),
    reserve_out("PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY", 0x06),
    reserve_out("PERSISTENT RESERVE OUT, REGISTER AND MOVE", 0x07),
    by_kernel("REPORT LUNS", Usage{0xa0, 0, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, Needs::nothing),
};

constexpr std::size_t rows = std::size(table);
constexpr std::uint8_t no_row = 0xff;
static_assert(rows < no_row);

constexpr bool sorted() {
  for (std::size_t i = 1; i < rows; ++i) {
    const Operation& a = table[i - 1];
    const Operation& b = table[i];
    const bool before =
        a.opcode < b.opcode || (a.opcode == b.opcode && a.has_service_action &&
                                b.has_service_action && a.service_action < b.service_action);
    if (!before) {
      return false;
    }
  }
  return true;
}
static_assert(sorted());

// The first row of each opcode, or no_row.
constexpr std::array<std::uint8_t, 256> make_index() {
  std::array<std::uint8_t, 256> index{};
  index.fill(no_row);
  for (std::size_t i = rows; i-- > 0;) {
    index[table[i].opcode] = static_cast<std::uint8_t>(i);
  }
  return index;
}
constexpr std::array<std::uint8_t, 256> first_row = make_index();

constexpr bool complete() {
  return std::all_of(std::begin(table), std::end(table), [](const Operation& operation) {
    return cdb_length(operation.opcode) != 0 &&
           (operation.immediate != nullptr || operation.suspending != nullptr) &&
           (operation.transfer == Transfer::other || operation.range == RangeAt::usual);
  });
}
static_assert(complete());

}  // namespace

std::span<const Operation> operations() {
  return table;
}

std::span<const Operation> kernel_operations() {
  return kernels_table;
}

const Operation* find_reported(std::uint8_t opcode, std::uint8_t service_action,
                               bool* other_service_action) {
  const Operation* const ours = find_operation(opcode, service_action, other_service_action);
  if (ours != nullptr || *other_service_action) {
    return ours;
  }
  for (const Operation& operation : kernels_table) {
    if (operation.opcode != opcode) {
      continue;
    }
    if (!operation.has_service_action || operation.service_action == service_action) {
      *other_service_action = false;
      return &operation;
    }
    *other_service_action = true;
  }
  return nullptr;
}

const Operation* find_operation(std::uint8_t opcode, std::uint8_t service_action,
                                bool* other_service_action) {
  *other_service_action = false;
  const std::uint8_t first = first_row[opcode];
  if (first == no_row) {
    return nullptr;
  }
  if (!table[first].has_service_action) {
    return &table[first];
  }
  for (std::size_t i = first; i < rows && table[i].opcode == opcode; ++i) {
    if (table[i].service_action == service_action) {
      return &table[i];
    }
  }
  *other_service_action = true;
  return nullptr;
}

}  // namespace ballast::scsi
