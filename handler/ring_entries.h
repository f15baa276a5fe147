// SPDX-License-Identifier: Apache-2.0
// RingEntries: reads the entries that the kernel wrote into a device's command ring.
//
// The layout and the rules are in <linux/target_core_user.h>. The kernel writes entries and then
// cmd_head. Entries from cmd_tail on are as the kernel wrote them, because answers overwrite only
// entries that cmd_tail has passed. This class only reads. Any thread, as long as no command is
// answered meanwhile: that keeps the entries between cmd_tail and cmd_head in place.
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

  // `mapping` begins with the mailbox and outlives this object.
  explicit RingEntries(std::span<const std::byte> mapping);

  // 0 if the ring does not fit into its mapping, which is a bug of the kernel. Then there is
  // nothing to read.
  std::uint32_t size() const { return size_; }
  std::uint32_t offset() const { return offset_; }  // of the ring, from the start of the mapping
  std::uint32_t head() const;
  std::uint32_t tail() const;
  // Returns the entry at `position`, or nothing if it is not valid.
  std::optional<Entry> at(std::uint32_t position) const;
  // The same, but also returns nothing if the entry reaches beyond `end`. So a caller that goes on
  // from entry to entry comes exactly to `end`.
  std::optional<Entry> at(std::uint32_t position, std::uint32_t end) const;
  // The position of the next entry. at() makes sure that no entry reaches beyond the ring's end.
  std::uint32_t after(std::uint32_t position, const Entry& entry) const {
    const std::uint32_t next = position + entry.length;
    return next == size_ ? 0 : next;
  }
  // Calls visit(position, entry) for the entries from `from` to `end`, at most once around the
  // ring. Stops and returns false if visit returns false, or an entry is not valid.
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
