// SPDX-License-Identifier: Apache-2.0
// One command on its way: the memory that the task set borrows until it answers, and what is known
// of the command before and after.
//
// The memory is in pieces of odd sizes. Once the command is answered it is somebody else's: it is
// freed, or overwritten and looked at again when the run is over.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "lib/base/units.h"
#include "lib/co/sim_executor.h"
#include "lib/co/wait.h"
#include "lib/scsi/command.h"
#include "tests/sim/wish.h"

namespace ballast::sim {

class Issued : public scsi::Command {
 public:
  Issued(std::uint32_t number, Wish what, co::Random& random);

  const std::uint32_t number;
  const Wish wish;
  co::Waker waker{};  // of whoever waits for the answer

  // On one scale of moments, each of which is an arrival or an answer; and on the clock.
  std::uint64_t began = 0;
  std::uint64_t ended = 0;
  TimePoint arrived{};
  TimePoint answered_at{};
  bool answered = false;
  std::uint32_t capacity = 0;             // of the LUN, the largest while it lived
  bool while_closing = false;             // answered after shut() had begun
  std::optional<TimePoint> aborted_at{};  // by task management
  scsi::Status status = scsi::Status::good;
  std::vector<Content> found;           // a read that was answered GOOD: what it showed
  std::vector<std::uint32_t> required;  // by block: what it promises to be safe on the medium

  bool good() const { return answered && status == scsi::Status::good; }
  bool turned_away() const {
    return answered && (status == scsi::Status::busy || status == scsi::Status::task_set_full);
  }
  // SENSE KEY; 0 without sense.
  std::uint8_t sense_key() const { return sense_length > 2 ? sense[2] & 0x0f : 0; }
  bool miscompared() const { return status == scsi::Status::check_condition && sense_key() == 0xe; }
  // INFORMATION of fixed-format sense.
  std::uint32_t information() const;
  // For a trace: "GOOD", "BUSY", "CHECK CONDITION key 6".
  std::string outcome() const;

  std::vector<std::byte> bytes() const;
  // After the answer: gives the memory away, to be freed or to be written by others.
  void give_away(co::Random& random);
  // Whether what was given away is as others left it.
  bool untouched() const;

 private:
  static constexpr std::byte others{0x5a};
  static constexpr std::size_t mark = 0xdead;
  std::unique_ptr<std::uint8_t[]> cdb_memory_;
  std::vector<std::unique_ptr<std::byte[]>> memory_;
  std::vector<iovec> segments_;
  std::array<std::uint8_t, scsi::sense_size> sense_memory_{};
  std::array<std::uint8_t, scsi::sense_size> sense_given_away_{};  // what it held then
};

}  // namespace ballast::sim
