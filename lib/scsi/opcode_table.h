// SPDX-License-Identifier: Apache-2.0
// The opcode table: it has each command that the disk serves, with all properties of the command.
// Dispatch, the check of reserved bits, REPORT SUPPORTED OPERATION CODES, the range of blocks and
// the rule for adoption all use it.
//
// `usage` is the CDB USAGE DATA of SPC-5, 6.35. Byte 0 is the opcode; the others have a 1 for each
// bit that the disk looks at. A CDB with a 1 where the map has a 0 ends with INVALID FIELD IN CDB
// and a field pointer. The disk enforces the map, so the map cannot become out of date. A byte that
// holds a service action has the value of that action in the map. The CONTROL byte is all zeros:
// NACA is not supported.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/co/task.h"
#include "lib/scsi/command.h"

namespace ballast::scsi {

class Disk;

// The property that a LUN must have to serve, and so to report, a command.
enum class Needs : std::uint8_t { nothing, unmap, block_status, kernel_reserves, groups, name };

// Distinguishes READ and WRITE of any CDB length from all other commands.
enum class Transfer : std::uint8_t { other, read, write };

// Where a CDB has its range of blocks.
enum class RangeAt : std::uint8_t {
  nowhere,
  usual,          // LBA and count by the CDB's length (cdb.h)
  without_count,  // the usual LBA, no count
  short_count,    // the usual LBA of a 16-byte CDB; byte 13 is the count
};

struct Operation {
  using Immediate = Status (Disk::*)(Command&);
  using Suspending = co::Task<Status> (Disk::*)(Command&);

  std::uint8_t opcode = 0;
  bool has_service_action = false;
  std::uint8_t service_action = 0;
  const char* name = "";                 // as SPC and SBC write it
  std::array<std::uint8_t, 16> usage{};  // the first cdb_length(opcode) bytes count
  Immediate immediate = nullptr;  // one of the two is set; if both are, Disk::judge() chooses
  Suspending suspending = nullptr;
  Transfer transfer = Transfer::other;
  RangeAt range = RangeAt::nowhere;
  bool flushes = false;                // it does nothing but flush
  bool repeats = false;                // doing it twice has the same result as doing it once
  bool changes_modes = false;          // it changes how later commands are checked or done
  bool takes_data = false;             // `data` is data-out
  bool changes_medium = false;         // refused on a write-protected LUN
  bool needs_medium = false;           // refused on a stopped LUN
  bool answers_unit_attention = true;  // false: no unit attention stops it (SAM-5, 5.14)
  bool in_standby = false;             // served while another gateway owns the store
  Needs needs = Needs::nothing;
};

// The service action of a CDB, if its opcode has any: the low five bits of byte 1.
constexpr std::uint8_t service_action_mask = 0x1f;

// All rows, sorted by opcode and then by service action.
std::span<const Operation> operations();

// The commands that the kernel's target core answers before they reach us (target_core_device.c,
// passthrough_parse_cdb). They are reported like the others, but have no handler.
std::span<const Operation> kernel_operations();

// Finds a row of operations(). Returns null if there is none. Then `other_service_action` says
// whether the opcode exists with another service action.
const Operation* find_operation(std::uint8_t opcode, std::uint8_t service_action,
                                bool* other_service_action);
// The same for operations() and kernel_operations() together, for REPORT SUPPORTED OPERATION CODES.
const Operation* find_reported(std::uint8_t opcode, std::uint8_t service_action,
                               bool* other_service_action);

}  // namespace ballast::scsi
