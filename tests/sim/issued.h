// SPDX-License-Identifier: Apache-2.0
// Issued: one command under way. It holds the memory that the task set borrows until it answers,
// and what is known of the command before and after the answer.
//
// The memory is in pieces of odd sizes. After the answer it belongs to others: it is freed, or it
// is overwritten and examined when the run is over.
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
#include "lib/scsi/sense.h"
#include "tests/sim/wish.h"

namespace ballast::sim {

class Issued : public scsi::Command {
 public:
  Issued(std::uint32_t number, Wish what, co::Random& random);

  const std::uint32_t number;
  const Wish wish;
  co::Waker waker{};  // wakes the coroutine that waits for the answer

  // Arrival and answer: as moments on one scale of all arrivals and answers, and on the clock.
  std::uint64_t began = 0;
  std::uint64_t ended = 0;
  TimePoint arrived{};
  TimePoint answered_at{};
  bool answered = false;
  std::uint32_t capacity = 0;       // the largest of the LUN while the command lived, in blocks
  bool unmapped_are_zeros = false;  // so the LUN said when it answered
  bool while_closing = false;       // answered after closing had begun
  std::optional<TimePoint> aborted_at{};  // by task management
  scsi::Status status = scsi::Status::good;
  TimePoint log_required{};  // the log's disk must have been flushed since then
  bool log_alone = false;    // since it arrived, it has needed nothing of the store, but of the log
  bool store_alone = false;  // the same, the other way round
  std::vector<Content> found;  // of a read that was answered GOOD
  // By block: the landing that the answer promises to be durable.
  std::vector<std::uint32_t> required;

  bool good() const { return answered && status == scsi::Status::good; }
  bool turned_away() const {
    return answered && (status == scsi::Status::busy || status == scsi::Status::task_set_full);
  }
  // no_sense: without sense data, too.
  scsi::SenseKey sense_key() const {
    return sense_length > 2 ? scsi::SenseKey{static_cast<std::uint8_t>(sense[2] & 0x0f)}
                            : scsi::SenseKey::no_sense;
  }
  bool miscompared() const {
    return status == scsi::Status::check_condition && sense_key() == scsi::SenseKey::miscompare;
  }
  // Turned away because the LUN is stopped (START STOP UNIT).
  bool found_stopped() const;
  // The INFORMATION field of sense data in fixed format.
  std::uint32_t information() const;
  // For a trace: "GOOD", "BUSY", "CHECK CONDITION key 6".
  std::string outcome() const;

  std::vector<std::byte> bytes() const;
  // Gives the memory away after the answer: it is freed, or filled as other owners would.
  void give_away(co::Random& random);
  // Whether the memory that was given away is unchanged since.
  bool untouched() const;

 private:
  static constexpr std::byte others{0x5a};
  static constexpr std::size_t mark = 0xdead;
  std::unique_ptr<std::uint8_t[]> cdb_memory_;
  std::vector<std::unique_ptr<std::byte[]>> memory_;
  std::vector<iovec> segments_;
  std::array<std::uint8_t, scsi::sense_size> sense_memory_{};
  std::array<std::uint8_t, scsi::sense_size> sense_given_away_{};  // the sense bytes at that time
};

}  // namespace ballast::sim
