// SPDX-License-Identifier: Apache-2.0
// A command ring in ordinary memory with the kernel's layout. No thread works behind it: it holds
// only what a test puts there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "handler/tcmur_abi.h"
#include "lib/base/assert.h"

namespace ballast::test {

namespace abi = handler::abi;

class MadeUpRing {
 public:
  static constexpr std::uint32_t command_bytes = 128;
  static constexpr std::uint8_t test_unit_ready = 0x00;
  static constexpr std::uint8_t vendor_specific = 0xc0;  // a command that the daemon throws away

  // Makes room for `commands` commands. The ring begins behind the mailbox and ends with the
  // mapping.
  explicit MadeUpRing(std::uint32_t commands)
      : bytes_{sizeof(abi::tcmu_mailbox) + commands * command_bytes},
        memory_{std::make_unique<std::byte[]>(bytes_ + 64)} {
    mailbox_ = new (start()) abi::tcmu_mailbox{};
    mailbox_->cmdr_off = sizeof(abi::tcmu_mailbox);
    mailbox_->cmdr_size = commands * command_bytes;
  }

  std::span<std::byte> mapping() { return {start(), bytes_}; }
  abi::tcmu_mailbox& mailbox() { return *mailbox_; }
  std::uint32_t head() const { return mailbox_->cmd_head; }
  std::byte* at(std::uint32_t position) { return start() + mailbox_->cmdr_off + position; }

  void command(std::uint16_t id, std::uint8_t operation_code = test_unit_ready) {
    std::byte* const place = append(command_bytes, abi::TCMU_OP_CMD, id);
    abi::tcmu_cmd_req request{};
    request.cdb_off = static_cast<std::uint64_t>(place - start()) + abi::tcmu_cmd_entry_size;
    std::memcpy(place + sizeof(abi::tcmu_cmd_entry_hdr), &request, sizeof request);
    place[abi::tcmu_cmd_entry_size] = std::byte{operation_code};
    publish(command_bytes);
  }
  void pad(std::uint32_t length) {
    (void)append(length, abi::TCMU_OP_PAD, 0);
    publish(length);
  }
  // `count`: the count that the entry claims, at the place where the entry has it.
  void notice(std::span<const std::uint16_t> ids, std::uint32_t count) {
    const auto length =
        static_cast<std::uint32_t>((sizeof(abi::tcmu_tmr_entry) + ids.size_bytes() + 7) / 8 * 8);
    std::byte* const place = append(length, abi::TCMU_OP_TMR, 0);
    std::memcpy(place + offsetof(abi::tcmu_tmr_entry, cmd_cnt), &count, sizeof count);
    if (!ids.empty()) {
      std::memcpy(place + sizeof(abi::tcmu_tmr_entry), ids.data(), ids.size_bytes());
    }
    publish(length);
  }
  void notice(std::initializer_list<std::uint16_t> ids) {
    notice({ids.begin(), ids.size()}, static_cast<std::uint32_t>(ids.size()));
  }

  // Answers the oldest command as tcmulib_command_complete() does. Its request is gone then.
  void answer(std::uint16_t id) {
    for (bool done = false; !done;) {
      BALLAST_ASSERT(mailbox_->cmd_tail != mailbox_->cmd_head);
      std::byte* const place = at(mailbox_->cmd_tail);
      abi::tcmu_cmd_entry_hdr header;
      std::memcpy(&header, place, sizeof header);
      const std::uint32_t length = header.len_op & ~abi::TCMU_OP_MASK;
      done = (header.len_op & abi::TCMU_OP_MASK) == abi::TCMU_OP_CMD;
      if (done) {
        header.cmd_id = id;
        std::memcpy(place, &header, sizeof header);
        std::memset(place + sizeof header, 0xff, sizeof(abi::tcmu_cmd_rsp));
      }
      mailbox_->cmd_tail = (mailbox_->cmd_tail + length) % mailbox_->cmdr_size;
    }
  }

 private:
  std::byte* start() const {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
    return memory_.get() + (64 - address % 64) % 64;
  }
  std::byte* append(std::uint32_t length, unsigned opcode, std::uint16_t id) {
    BALLAST_ASSERT(mailbox_->cmd_head + length <= mailbox_->cmdr_size);
    std::byte* const place = at(mailbox_->cmd_head);
    std::memset(place, 0, length);
    const abi::tcmu_cmd_entry_hdr header{
        .len_op = length | opcode, .cmd_id = id, .kflags = 0, .uflags = 0};
    std::memcpy(place, &header, sizeof header);
    return place;
  }
  void publish(std::uint32_t length) {
    mailbox_->cmd_head = (mailbox_->cmd_head + length) % mailbox_->cmdr_size;
  }

  std::size_t bytes_;
  std::unique_ptr<std::byte[]> memory_;
  abi::tcmu_mailbox* mailbox_;
};

}  // namespace ballast::test
