// SPDX-License-Identifier: Apache-2.0
// The opcode table: every command the disk serves, once, and all that follows from which command it
// is. Dispatch, the judging of reserved bits, REPORT SUPPORTED OPERATION CODES, the range of
// blocks, and what may be adopted are all made from it.
//
// `usage` is the CDB USAGE DATA of SPC-5, 6.35: byte 0 is the opcode, then a 1 for each bit that is
// looked at. A 1 in a CDB where the map has a 0 ends the command with INVALID FIELD IN CDB and a
// field pointer; so the map is not a claim that can go stale. In bytes that hold a service action
// the map has its value. The CONTROL byte is all zeros: NACA is not supported.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/co/task.h"
#include "lib/scsi/command.h"

namespace ballast::scsi {

class Disk;

// What must hold of a LUN for it to serve, and so to report, a command.
enum class Needs : std::uint8_t { nothing, unmap, block_status, kernel_reserves };

// READ and WRITE of any CDB length, and everything else.
enum class Transfer : std::uint8_t { other, read, write };

// Where a CDB has its range of blocks.
enum class RangeAt : std::uint8_t {
  nowhere,
  usual,          // LBA and count by the CDB's length (cdb.h)
  without_count,  // the usual LBA
  short_count,    // the usual LBA of 16 bytes; the count is byte 13
};

struct Operation {
  using Immediate = Status (Disk::*)(Command&);
  using Suspending = co::Task<Status> (Disk::*)(Command&);

  std::uint8_t opcode = 0;
  bool has_service_action = false;
  std::uint8_t service_action = 0;
  const char* name = "";                 // as SPC and SBC write it
  std::array<std::uint8_t, 16> usage{};  // as many bytes of it as cdb_length(opcode)
  Immediate immediate = nullptr;         // one of the two; or both, and Disk::judge() says which
  Suspending suspending = nullptr;
  Transfer transfer = Transfer::other;
  RangeAt range = RangeAt::nowhere;
  bool flushes = false;                // and does nothing else
  bool repeats = false;                // done twice it leaves what it leaves when done once
  bool changes_modes = false;          // how later commands are judged, or done
  bool takes_data = false;             // `data` is data-out
  bool changes_medium = false;         // refused on a write-protected LUN
  bool needs_medium = false;           // refused on a stopped LUN
  bool answers_unit_attention = true;  // false: goes on in spite of one (SAM-5, 5.14)
  Needs needs = Needs::nothing;
};

// The service action of a CDB whose opcode has them: the low five bits of byte 1.
constexpr std::uint8_t service_action_mask = 0x1f;

// Sorted by opcode, then service action.
std::span<const Operation> operations();

// What the kernel's target core answers before a command reaches us (target_core_device.c,
// passthrough_parse_cdb): reported as the rest, but without a handler, and never found below.
std::span<const Operation> kernel_operations();

// Of operations(). Null where there is none; `other_service_action` then says whether the opcode
// itself is known.
const Operation* find_operation(std::uint8_t opcode, std::uint8_t service_action,
                                bool* other_service_action);
// The same of both, for REPORT SUPPORTED OPERATION CODES.
const Operation* find_reported(std::uint8_t opcode, std::uint8_t service_action,
                               bool* other_service_action);

}  // namespace ballast::scsi
