// SPDX-License-Identifier: Apache-2.0
// Command: one SCSI command as an initiator sent it, and the answer to it.
//
// The front end (handler/ring, a test) owns the Command and everything it points to. It keeps them
// until the task set has answered the command, or until Disk::execute has ended. The opcode decides
// which way the data goes: data-in is written to `data`, and data-out is read from it. The size of
// `data` is what the initiator is ready to move. That may be less or more than the CDB asks for.
// The disk never touches a byte outside `data`.
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

// The value with which a task ends if memory runs out (lib/co/task.h).
constexpr Status when_out_of_memory(const Status*) {
  return Status::busy;
}

// Returns "GOOD", "BUSY" and so on.
const char* to_string(Status status) noexcept;

// The room that TCMU has (TCMU_SENSE_BUFFERSIZE). No sense data built here needs more.
inline constexpr std::size_t sense_size = 96;

// A range of a LUN's blocks.
struct Range {
  Lba lba{};
  BlockCount count{};
};

struct Command {
  std::span<const std::uint8_t> cdb;  // at least as long as the opcode's group says (cdb.h)
  io::SgView data{};
  // Where the volume reports the progress of this command. Null: nothing is reported, and the
  // command cannot be stopped.
  volume::Request* request = nullptr;
  // Where the disk writes sense data: sense_size bytes.
  std::span<std::uint8_t> sense{};

  // The disk fills in these:
  Range range{};           // the range in the CDB, if it has one (Operation::range)
  std::uint64_t turn = 0;  // its place in the order of the commands that take effect late
  volume::Tier tier = volume::Tier::store;  // where it waits; the task set keeps it up to date
  std::size_t transferred = 0;   // bytes written to the front of `data`, or taken from it;
                                 // data.size() - transferred is the residual
  std::size_t sense_length = 0;  // valid bytes of sense; above 0 only with check_condition
};

}  // namespace ballast::scsi
