// SPDX-License-Identifier: Apache-2.0
// RingEntries: a device's command ring as the kernel wrote it, entry by entry.
//
// Layout and rules: <linux/target_core_user.h>. The kernel writes entries and then cmd_head;
// entries from cmd_tail on are as the kernel wrote them (answers overwrite only what cmd_tail has
// passed). Only reads. Any thread; what is between cmd_tail and cmd_head stays put as long as
// nobody answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "handler/tcmur_abi.h"

namespace ballast::handler {

class RingEntries {
 public:
  struct Entry {
    std::uint32_t length;  // bytes to the next entry
    unsigned opcode;
    std::uint16_t cmd_id;
    bool droppable;  // a command that the daemon throws away, see PassedOver
    bool is_handed_over() const { return opcode == abi::TCMU_OP_CMD && !droppable; }
    bool is_passed_over() const { return droppable || opcode == abi::TCMU_OP_TMR; }
  };

  // `mapping` begins with the mailbox and outlives this.
  explicit RingEntries(std::span<const std::byte> mapping);

  // 0: the ring does not fit its mapping, which is the kernel's bug; then there is nothing to read.
  std::uint32_t size() const { return size_; }
  std::uint32_t offset() const { return offset_; }  // of the ring, in the mapping
  std::uint32_t head() const;
  std::uint32_t tail() const;
  // The entry at `position`, or nothing if what stands there makes no sense.
  std::optional<Entry> at(std::uint32_t position) const;
  // The same, if it ends at `end` or before: who goes on so until `end` comes there.
  std::optional<Entry> at(std::uint32_t position, std::uint32_t end) const;
  // at() sees to it that no entry reaches beyond the ring.
  std::uint32_t after(std::uint32_t position, const Entry& entry) const {
    const std::uint32_t next = position + entry.length;
    return next == size_ ? 0 : next;
  }
  // Calls visit(position, entry) for the entries from `from` to `end`, once around at most. False:
  // visit returned it, or an entry makes no sense; nothing behind that was visited.
  template <class Visit>
  bool walk(std::uint32_t from, std::uint32_t end, Visit visit) const;

 private:
  std::span<const std::byte> mapping_;
  const abi::tcmu_mailbox* mailbox_;
  std::uint32_t offset_;
  std::uint32_t size_;
};

template <class Visit>
bool RingEntries::walk(std::uint32_t from, std::uint32_t end, Visit visit) const {
  std::uint32_t position = from;
  std::uint64_t walked = 0;
  while (position != end && walked < size_) {
    const std::optional<Entry> entry = at(position);
    if (!entry || !visit(position, *entry)) {
      return false;
    }
    walked += entry->length;
    position = after(position, *entry);
  }
  return true;
}

}  // namespace ballast::handler
