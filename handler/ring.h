// SPDX-License-Identifier: Apache-2.0
// Ring: writes answers into a device's command ring and rings the doorbell.
//
// An answer is a call of tcmulib_command_complete(), which frees the command and writes into the
// oldest unanswered entry. The doorbell is a call of tcmulib_processing_complete(), a write(2) to
// the uio device that makes the kernel look at the ring. The answers of one tick share a doorbell,
// which the tick hook rings; after most_answers the Ring does not wait for the hook.
//
// These two functions take no lock, and need none: only the thread that drives the LUN's executor
// calls them, and the executor has one driver at a time. The daemon's own tcmulib_get_next_command
// may run beside them on the cmdproc thread. It touches only the device's private read position,
// and entries that no answer can have reached. Each answer is for a command that the daemon has
// read, so an answer lands at or before the last entry that the daemon has read.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "handler/tcmur_abi.h"
#include "lib/co/executor.h"
#include "lib/scsi/command.h"
#include "lib/watch/mailbox.h"

namespace ballast::handler {

struct RingStats {
  std::uint64_t answers = 0;
  std::uint64_t doorbells = 0;
  std::uint64_t thrown_away = 0;  // commands that the daemon dropped and Ballast answered
};

class Ring final : public co::TickHook {
 public:
  // The initiator sends its next commands when the doorbell rings, so a long tick must not hold
  // back the first answers until its end.
  static constexpr unsigned most_answers = 64;

  // `mapping` begins with the mailbox. `mapping` and `dev` outlive the Ring. The Ring becomes a
  // tick hook of `executor`.
  Ring(co::Executor& executor, abi::tcmu_device* dev, std::span<std::byte> mapping);
  ~Ring() override;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Answers `cmd` with the result in `command`. Afterwards `cmd`, its CDB and its segment table are
  // gone. If a command with data ends well, and less was transferred than the initiator was ready
  // to take, the Ring reports a residual. If the kernel cannot do that, or nothing was transferred,
  // the Ring zeroes the rest of the buffer, because it still has old content of the data area.
  void answer(abi::tcmulib_cmd* cmd, const scsi::Command& command, scsi::Status status);
  // Answers with `status` alone, without data or sense; not for CHECK CONDITION.
  void answer(abi::tcmulib_cmd* cmd, scsi::Status status);
  // Answers a command that the daemon read and threw away with CHECK CONDITION, INVALID COMMAND
  // OPERATION CODE, in descriptor format if D_SENSE is set. Allocates nothing.
  void answer_thrown_away(std::uint16_t cmd_id, bool descriptor_sense);

  // Moves cmd_tail to `head`, over entries that need no answer.
  void skip_to(std::uint32_t head);

  void tick_end() override;

  // The member `flags` has TCMU_MAILBOX_FLAG_CAP_* bits.
  watch::Mailbox mailbox() const { return head_; }
  const RingStats& stats() const { return stats_; }

 private:
  friend struct Anatomy;
  abi::tcmu_cmd_entry_hdr* oldest_command(std::uint32_t* behind);
  void report_short_read(const scsi::Command& command);
  void complete(abi::tcmulib_cmd* cmd, int status);
  void ring_doorbell();

  co::Executor& executor_;
  abi::tcmu_device* dev_;
  std::byte* mapping_;
  abi::tcmu_mailbox* mailbox_;
  const watch::Mailbox head_;  // a copy: a core file never has the ring
  unsigned moved_ = 0;         // times that cmd_tail was moved since the last doorbell
  RingStats stats_;
};

// Returns the mailbox flags in words, for the log: "out-of-order completion, short reads".
std::string describe_mailbox_flags(std::uint16_t flags);

}  // namespace ballast::handler
