// SPDX-License-Identifier: Apache-2.0
#include "handler/ring_cursor.h"

#include <utility>

namespace ballast::handler {

RingCursor::RingCursor(std::span<const std::byte> mapping)
    : entries_{mapping}, position_{entries_.tail()}, in_step_{entries_.size() > 0} {}

bool RingCursor::step_over(std::uint32_t from, std::uint16_t cmd_id, bool note_dropped) {
  dropped_count_ = 0;
  bool found = false;
  const auto visit = [&](std::uint32_t position, const RingEntries::Entry& entry) {
    if (entry.is_handed_over()) {
      found = entry.cmd_id == cmd_id;
      if (found) {
        position_ = entries_.after(position, entry);
      }
      // In step, the next command would have been this one.
      return !found && !note_dropped;
    }
    if (entry.droppable && note_dropped && dropped_count_ < most_dropped) {
      dropped_[dropped_count_++] = entry.cmd_id;
    }
    return true;
  };
  (void)entries_.walk(from, entries_.head(), visit);
  return found;
}

std::span<const std::uint16_t> RingCursor::arrived(std::uint16_t cmd_id) {
  dropped_count_ = 0;
  if (entries_.size() == 0) {
    return {};
  }
  const Next next = std::exchange(next_, Next{});
  if (next.known && next.cmd_id == cmd_id) {
    position_ = next.behind;
    return {};
  }
  const std::uint32_t end = entries_.head();
  const std::uint32_t tail = entries_.tail();
  const auto distance = [this, end](std::uint32_t from) {
    return (end + entries_.size() - from) % entries_.size();
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
  if (entries_.size() == 0) {
    return found;
  }
  found.head = entries_.head();
  found.tail = entries_.tail();
  const auto visit = [&found](std::uint32_t, const RingEntries::Entry& entry) {
    if (entry.is_handed_over() || found.dropped_count == most_dropped) {
      return false;
    }
    if (entry.droppable) {
      found.dropped[found.dropped_count++] = entry.cmd_id;
    }
    return true;
  };
  return entries_.walk(found.tail, found.head, visit) ? found : Leftovers{};
}

bool RingCursor::more() {
  if (!in_step_) {
    return false;
  }
  if (next_.known) {
    return true;
  }
  bool found = false;
  const auto visit = [&](std::uint32_t position, const RingEntries::Entry& entry) {
    if (!entry.is_handed_over()) {
      return true;
    }
    found = true;
    // Only if nothing thrown away lies before it: arrived() has to name that.
    next_ = Next{.known = position == position_,
                 .cmd_id = entry.cmd_id,
                 .behind = entries_.after(position, entry)};
    return false;
  };
  (void)entries_.walk(position_, entries_.head(), visit);
  return found;
}

}  // namespace ballast::handler
