// SPDX-License-Identifier: Apache-2.0
// Ring: the way of answers back into a device's command ring, and the doorbell.
//
// An answer is tcmulib_command_complete(), which frees the command and writes into the oldest
// unanswered entry; the doorbell is tcmulib_processing_complete(), a write(2) to the uio device
// that makes the kernel look. All answers of one tick share one doorbell, rung by the tick hook.
//
// Neither of the daemon's functions takes a lock, and none is needed: only the thread that drives
// the LUN's executor calls them, and the executor has one driver at a time. The daemon's own
// tcmulib_get_next_command, which may run beside them on the cmdproc thread, touches only the
// device's private read position and entries that no answer can have reached: an answer lands at or
// before the last entry that the daemon has read, because each answers one command that it has
// read.
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
  std::uint64_t thrown_away = 0;  // commands that the daemon dropped and we answered
};

class Ring final : public co::TickHook {
 public:
  // `mapping` begins with the mailbox; it and `dev` outlive the Ring. Becomes a tick hook of
  // `executor`.
  Ring(co::Executor& executor, abi::tcmu_device* dev, std::span<std::byte> mapping);
  ~Ring() override;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Answers `cmd` with what became of `command`; `cmd`, its CDB and its segment table are gone
  // afterwards. Data-in that falls short of what the initiator was ready to take is reported as a
  // residual where the kernel can do that, and the rest of the buffer, which holds whatever the
  // data area held before, is zeroed where it can't.
  void answer(abi::tcmulib_cmd* cmd, const scsi::Command& command, scsi::Status status);
  // Answers with a bare status.
  void answer(abi::tcmulib_cmd* cmd, scsi::Status status);
  // Answers a command that the daemon read and threw away: CHECK CONDITION, INVALID COMMAND
  // OPERATION CODE. Needs no memory.
  void answer_thrown_away(std::uint16_t cmd_id);

  // Moves cmd_tail to `head`, over entries that need no answer.
  void skip_to(std::uint32_t head);

  void tick_end() override;

  // Its flags are TCMU_MAILBOX_FLAG_CAP_* bits.
  watch::Mailbox mailbox() const {
    return {mailbox_->version, mailbox_->flags, mailbox_->cmdr_off, mailbox_->cmdr_size};
  }
  const RingStats& stats() const { return stats_; }

 private:
  abi::tcmu_cmd_entry_hdr* oldest_command(std::uint32_t* behind);
  void report_short_read(const scsi::Command& command);
  void complete(abi::tcmulib_cmd* cmd, int status);

  co::Executor& executor_;
  abi::tcmu_device* dev_;
  std::byte* mapping_;
  abi::tcmu_mailbox* mailbox_;
  bool answered_ = false;  // since the last doorbell
  RingStats stats_;
};

// "out-of-order completion, short reads, keep-buffer": the mailbox flags in words, for the log.
std::string describe_mailbox_flags(std::uint16_t flags);

}  // namespace ballast::handler
