// SPDX-License-Identifier: Apache-2.0
#include "handler/ring_cursor.h"

#include <cstring>
#include <utility>

#include "lib/base/assert.h"

namespace ballast::handler {
namespace {

using abi::tcmu_cmd_entry_hdr;
using abi::tcmu_cmd_req;

// As tcmu_cdb_get_length of libtcmu 1.5.4.
bool has_known_length(std::uint8_t operation_code) {
  switch (operation_code >> 5) {
    case 3:
      return operation_code == 0x7f;
    case 6:
    case 7:
      return false;
    default:
      return true;
  }
}

}  // namespace

RingCursor::RingCursor(std::span<const std::byte> mapping)
    : mapping_{mapping},
      mailbox_{reinterpret_cast<const abi::tcmu_mailbox*>(mapping.data())},
      ring_offset_{mailbox_->cmdr_off},
      ring_size_{mailbox_->cmdr_size},
      position_{__atomic_load_n(&mailbox_->cmd_tail, __ATOMIC_RELAXED)} {
  BALLAST_ASSERT(mapping.size() >= sizeof(abi::tcmu_mailbox));
  // A ring that does not fit its mapping is the kernel's bug; then there is nothing to follow.
  if (ring_size_ < sizeof(tcmu_cmd_entry_hdr) || ring_offset_ > mapping.size() ||
      ring_size_ > mapping.size() - ring_offset_) {
    ring_size_ = 0;
    in_step_ = false;
  }
}

std::uint32_t RingCursor::head() const {
  // Acquire: entries before the head are whole.
  return __atomic_load_n(&mailbox_->cmd_head, __ATOMIC_ACQUIRE);
}

std::optional<RingCursor::Entry> RingCursor::at(std::uint32_t position) const {
  if (position > ring_size_ - sizeof(tcmu_cmd_entry_hdr) || position % 8 != 0) {
    return std::nullopt;
  }
  const std::byte* const place = mapping_.data() + ring_offset_ + position;
  tcmu_cmd_entry_hdr header;
  std::memcpy(&header, place, sizeof header);
  Entry entry{.length = header.len_op & ~abi::TCMU_OP_MASK,
              .opcode = header.len_op & abi::TCMU_OP_MASK,
              .cmd_id = header.cmd_id,
              .droppable = false};
  if (entry.length < sizeof header || entry.length > ring_size_ - position) {
    return std::nullopt;
  }
  if (entry.opcode == abi::TCMU_OP_CMD) {
    if (entry.length < sizeof header + sizeof(tcmu_cmd_req)) {
      return std::nullopt;
    }
    std::uint64_t cdb_offset = 0;
    std::memcpy(&cdb_offset, place + sizeof header + offsetof(tcmu_cmd_req, cdb_off),
                sizeof cdb_offset);
    if (cdb_offset >= mapping_.size()) {
      return std::nullopt;
    }
    entry.droppable = !has_known_length(static_cast<std::uint8_t>(mapping_[cdb_offset]));
  }
  return entry;
}

bool RingCursor::step_over(std::uint32_t from, std::uint16_t cmd_id, bool note_dropped) {
  const std::uint32_t end = head();
  std::uint32_t position = from;
  std::uint64_t walked = 0;
  dropped_count_ = 0;
  while (position != end && walked < ring_size_) {
    const std::optional<Entry> entry = at(position);
    if (!entry) {
      return false;
    }
    walked += entry->length;
    position = after(position, *entry);
    if (entry->opcode != abi::TCMU_OP_CMD) {
      continue;
    }
    if (!entry->droppable) {
      if (entry->cmd_id == cmd_id) {
        position_ = position;
        return true;
      }
      if (note_dropped) {
        return false;  // in step, the next command would have been this one
      }
    } else if (note_dropped && dropped_count_ < most_dropped) {
      dropped_[dropped_count_++] = entry->cmd_id;
    }
  }
  return false;
}

std::span<const std::uint16_t> RingCursor::arrived(std::uint16_t cmd_id) {
  dropped_count_ = 0;
  if (ring_size_ == 0) {
    return {};
  }
  const Next next = std::exchange(next_, Next{});
  if (next.known && next.cmd_id == cmd_id) {
    position_ = next.behind;
    return {};
  }
  const std::uint32_t end = head();
  const std::uint32_t tail = __atomic_load_n(&mailbox_->cmd_tail, __ATOMIC_ACQUIRE);
  const auto distance = [this, end](std::uint32_t from) {
    return (end + ring_size_ - from) % ring_size_;
  };
  if (in_step_ && distance(tail) < distance(position_)) {
    position_ = tail;  // what was left over has been answered, see leftovers()
  }
  if (!in_step_ || !step_over(position_, cmd_id, true)) {
    // From cmd_tail on all entries are the kernel's own, and a live id stands in one of them.
    in_step_ = step_over(tail, cmd_id, false);
    dropped_count_ = 0;
  }
  return {dropped_.data(), dropped_count_};
}

RingCursor::Leftovers RingCursor::leftovers() const {
  Leftovers found;
  if (ring_size_ == 0) {
    return found;
  }
  found.head = head();
  found.tail = __atomic_load_n(&mailbox_->cmd_tail, __ATOMIC_ACQUIRE);
  std::uint32_t position = found.tail;
  std::uint64_t walked = 0;
  while (position != found.head && walked < ring_size_) {
    const std::optional<Entry> entry = at(position);
    const bool handed_over = entry && entry->opcode == abi::TCMU_OP_CMD && !entry->droppable;
    if (!entry || handed_over || found.dropped_count == most_dropped) {
      return {};
    }
    if (entry->droppable) {
      found.dropped[found.dropped_count++] = entry->cmd_id;
    }
    walked += entry->length;
    position = after(position, *entry);
  }
  return found;
}

bool RingCursor::more() {
  if (!in_step_) {
    return false;
  }
  if (next_.known) {
    return true;
  }
  const std::uint32_t end = head();
  std::uint32_t position = position_;
  std::uint64_t walked = 0;
  while (position != end && walked < ring_size_) {
    const std::optional<Entry> entry = at(position);
    if (!entry) {
      return false;
    }
    if (entry->opcode == abi::TCMU_OP_CMD && !entry->droppable) {
      // Only if nothing thrown away lies before it: arrived() has to name that.
      next_ = Next{.known = position == position_,
                   .cmd_id = entry->cmd_id,
                   .behind = after(position, *entry)};
      return true;
    }
    walked += entry->length;
    position = after(position, *entry);
  }
  return false;
}

}  // namespace ballast::handler
