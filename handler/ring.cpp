// SPDX-License-Identifier: Apache-2.0
#include "handler/ring.h"

#include <algorithm>

#include "lib/base/assert.h"
#include "lib/scsi/sense.h"

namespace ballast::handler {
namespace {

int to_tcmu(scsi::Status status) {
  switch (status) {
    case scsi::Status::good:
    // libtcmu has no status for CONDITION MET. As the answer to PRE-FETCH, GOOD only claims less:
    // that the cache may have no room for all blocks.
    case scsi::Status::condition_met:
      return abi::TCMU_STS_OK;
    case scsi::Status::check_condition:
      return abi::TCMU_STS_PASSTHROUGH_ERR;
    case scsi::Status::task_set_full:
      return abi::TCMU_STS_NO_RESOURCE;
    case scsi::Status::busy:
    // The kernel handles reservations, so Ballast never answers this.
    case scsi::Status::reservation_conflict:
      return abi::TCMU_STS_BUSY;
  }
  return abi::TCMU_STS_BUSY;
}

// No target sends the data of a command that ends with another status.
constexpr bool gives_data(scsi::Status status) {
  return status == scsi::Status::good || status == scsi::Status::condition_met;
}

}  // namespace

Ring::Ring(co::Executor& executor, abi::tcmu_device* dev, std::span<std::byte> mapping)
    : executor_{executor},
      dev_{dev},
      mapping_{mapping.data()},
      mailbox_{reinterpret_cast<abi::tcmu_mailbox*>(mapping.data())},
      head_{mailbox_->version, mailbox_->flags, mailbox_->cmdr_off, mailbox_->cmdr_size} {
  BALLAST_ASSERT(mapping.size() >= sizeof(abi::tcmu_mailbox));
  executor_.add_tick_hook(*this);
}

Ring::~Ring() {
  BALLAST_ASSERT(moved_ == 0);
  executor_.remove_tick_hook(*this);
}

// The entry that the next answer is written to. Returns null if the ring holds no command. That
// happens if somebody had the kernel reset the ring (the attribute reset_ring).
abi::tcmu_cmd_entry_hdr* Ring::oldest_command(std::uint32_t* behind) {
  std::uint32_t tail = mailbox_->cmd_tail;
  while (tail != __atomic_load_n(&mailbox_->cmd_head, __ATOMIC_ACQUIRE)) {
    auto* const entry =
        reinterpret_cast<abi::tcmu_cmd_entry_hdr*>(mapping_ + mailbox_->cmdr_off + tail);
    tail = (tail + (entry->len_op & ~abi::TCMU_OP_MASK)) % mailbox_->cmdr_size;
    if ((entry->len_op & abi::TCMU_OP_MASK) == abi::TCMU_OP_CMD) {
      *behind = tail;
      return entry;
    }
  }
  return nullptr;
}

// The kernel reads READ_LEN from the entry that carries the answer.
void Ring::report_short_read(const scsi::Command& command) {
  std::uint32_t behind = 0;
  abi::tcmu_cmd_entry_hdr* const entry = oldest_command(&behind);
  if (entry == nullptr) {
    return;
  }
  auto* const answer = reinterpret_cast<abi::tcmu_cmd_rsp*>(entry + 1);
  answer->read_len = static_cast<std::uint32_t>(command.transferred);
  entry->uflags |= abi::TCMU_UFLAG_READ_LEN;
}

void Ring::answer(abi::tcmulib_cmd* cmd, const scsi::Command& command, scsi::Status status) {
  if (status == scsi::Status::check_condition) {
    BALLAST_ASSERT(command.sense.data() == cmd->sense_buf);
    const std::span<std::uint8_t> rest = command.sense.subspan(command.sense_length);
    std::fill(rest.begin(), rest.end(), std::uint8_t{0});
  } else if (gives_data(status) && command.transferred < command.data.size()) {
    // The kernel ignores a READ_LEN of 0 (tcmu_handle_completion).
    if (command.transferred > 0 && (mailbox_->flags & abi::TCMU_MAILBOX_FLAG_CAP_READ_LEN) != 0) {
      report_short_read(command);
    } else {
      io::zero(command.data.slice(command.transferred, command.data.size() - command.transferred));
    }
  }
  complete(cmd, to_tcmu(status));
}

void Ring::answer(abi::tcmulib_cmd* cmd, scsi::Status status) {
  BALLAST_ASSERT(status != scsi::Status::check_condition);
  complete(cmd, to_tcmu(status));
}

// This command has no tcmulib_cmd, and there may be no memory for one. So the answer is written
// here, in the same way as tcmulib_command_complete writes it.
void Ring::answer_thrown_away(std::uint16_t cmd_id, bool descriptor_sense) {
  constexpr std::uint8_t check_condition = 0x02;
  std::uint32_t behind = 0;
  abi::tcmu_cmd_entry_hdr* const entry = oldest_command(&behind);
  if (entry == nullptr) {
    return;
  }
  entry->cmd_id = cmd_id;
  auto* const answer = reinterpret_cast<abi::tcmu_cmd_rsp*>(entry + 1);
  answer->scsi_status = check_condition;
  std::uint8_t sense[abi::SENSE_BUFFERSIZE]{};
  scsi::encode(scsi::illegal_request(scsi::asc::invalid_command_operation_code), descriptor_sense,
               sense);
  std::copy(std::begin(sense), std::end(sense), answer->sense_buffer);
  __atomic_store_n(&mailbox_->cmd_tail, behind, __ATOMIC_RELEASE);
  ++stats_.answers;
  ++stats_.thrown_away;
  ++moved_;
}

void Ring::skip_to(std::uint32_t head) {
  if (mailbox_->cmd_tail != head) {
    __atomic_store_n(&mailbox_->cmd_tail, head, __ATOMIC_RELEASE);
    ++moved_;
  }
}

void Ring::complete(abi::tcmulib_cmd* cmd, int status) {
  ++stats_.answers;
  abi::tcmulib_command_complete(dev_, cmd, status);
  if (++moved_ >= most_answers) {
    ring_doorbell();
  }
}

void Ring::ring_doorbell() {
  moved_ = 0;
  ++stats_.doorbells;
  abi::tcmulib_processing_complete(dev_);
}

void Ring::tick_end() {
  if (moved_ > 0) {
    ring_doorbell();
  }
}

std::string describe_mailbox_flags(std::uint16_t flags) {
  struct Name {
    std::uint16_t flag;
    const char* name;
  };
  static constexpr Name names[] = {
      {abi::TCMU_MAILBOX_FLAG_CAP_OOOC, "out-of-order completion"},
      {abi::TCMU_MAILBOX_FLAG_CAP_READ_LEN, "short reads"},
      {abi::TCMU_MAILBOX_FLAG_CAP_TMR, "task management"},
      {abi::TCMU_MAILBOX_FLAG_CAP_KEEP_BUF, "keep-buffer"},
  };
  std::string text;
  for (const Name& name : names) {
    if ((flags & name.flag) != 0) {
      text += (text.empty() ? "" : ", ");
      text += name.name;
    }
  }
  return text.empty() ? "none" : text;
}

}  // namespace ballast::handler
