// SPDX-License-Identifier: Apache-2.0
// One SCSI command as an initiator sent it, and the answer to it.
//
// The front end (handler/ring, a test) owns the Command and everything it points to, and keeps them
// until Disk::execute has ended. Which way the data goes follows from the opcode: `data` is where
// data-in is written or data-out is read, and its size is what the initiator is ready to move. That
// may be less or more than the CDB speaks of; the disk never touches a byte outside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/units.h"
#include "lib/io/sg.h"
#include "lib/volume/request.h"

namespace ballast::scsi {

// Status codes (SAM-5, 5.3.1).
enum class Status : std::uint8_t {
  good = 0x00,
  check_condition = 0x02,
  condition_met = 0x04,
  busy = 0x08,
  reservation_conflict = 0x18,
  task_set_full = 0x28,
};

// What a task ends with (lib/co/task.h).
constexpr Status when_out_of_memory(const Status*) {
  return Status::busy;
}

// "GOOD", "BUSY", ...
const char* to_string(Status status) noexcept;

// What TCMU has room for (TCMU_SENSE_BUFFERSIZE), and more than any sense built here needs.
inline constexpr std::size_t sense_size = 96;

// Blocks of a LUN.
struct Range {
  Lba lba{};
  BlockCount count{};
};

struct Command {
  std::span<const std::uint8_t> cdb;  // at least as long as the opcode's group says (cdb.h)
  io::SgView data{};
  // Where the volume is told what belongs to this command; null: nobody is told and it cannot be
  // stopped.
  volume::Request* request = nullptr;
  // Where sense data is put: sense_size bytes.
  std::span<std::uint8_t> sense{};

  // Filled by the disk:
  Range range{};                 // what the CDB names, where it names one (Operation::range)
  std::uint64_t turn = 0;        // of a command whose effect comes late: its place in the order of
                                 // coming, among those that set the same
  std::size_t transferred = 0;   // bytes of data-in written to the front of `data`, or of data-out
                                 // taken from it; data.size() - transferred is the residual
  std::size_t sense_length = 0;  // valid bytes of sense; above 0 only with check_condition
};

}  // namespace ballast::scsi
