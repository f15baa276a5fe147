// SPDX-License-Identifier: Apache-2.0
#include "handler/passed_over.h"

#include <algorithm>
#include <cstring>

namespace ballast::handler {

PassedOver::PassedOver(std::span<const std::byte> mapping)
    : mapping_{mapping},
      entries_{mapping},
      at_{entries_.tail()},
      seen_{at_},
      known_{entries_.size() > 0} {}

// Returns the entry at `position`; nothing at the ring's end, or if the entry is not valid.
std::optional<RingEntries::Entry> PassedOver::entry_at(std::uint32_t position) const {
  return entries_.at(position, entries_.head());
}

// Moves on over one entry. Returns it if it is an item that was not returned before.
std::optional<PassedOver::Item> PassedOver::pass(const RingEntries::Entry& entry) {
  const std::uint32_t position = at_;
  const bool seen = seen_ != at_;
  at_ = entries_.after(position, entry);
  if (!seen) {
    seen_ = at_;
  }
  if (entry.droppable) {
    return Item{.is_notice = false, .cmd_id = entry.cmd_id, .named = 0};
  }
  if (entry.opcode == abi::TCMU_OP_TMR && !seen) {
    return read_notice(position, entry);
  }
  return std::nullopt;
}

std::optional<PassedOver::Item> PassedOver::next_before(std::uint16_t cmd_id) {
  while (known_) {
    const std::optional<RingEntries::Entry> entry = entry_at(at_);
    if (!entry || (entry->is_handed_over() && entry->cmd_id != cmd_id)) {
      known_ = false;
      break;
    }
    if (const std::optional<Item> item = pass(*entry)) {
      return item;
    }
    if (entry->is_handed_over()) {
      break;
    }
  }
  return std::nullopt;
}

void PassedOver::reached(const RingCursor::Mark& mark) {
  known_ = mark.known;
  at_ = mark.position;
  seen_ = at_;
  passed_over_ = mark.passed_over;
}

std::optional<PassedOver::Item> PassedOver::next_notice() {
  while (known_) {
    const std::uint32_t position = seen_;
    const std::optional<RingEntries::Entry> entry = entry_at(position);
    if (!entry || entry->is_handed_over()) {
      break;
    }
    seen_ = entries_.after(position, *entry);
    if (entry->opcode == abi::TCMU_OP_TMR) {
      return read_notice(position, *entry);
    }
  }
  return std::nullopt;
}

PassedOver::Rest PassedOver::rest(bool all_answered) {
  if (!known_ && all_answered && entries_.size() > 0) {
    known_ = true;
    at_ = entries_.tail();
    seen_ = at_;
  }
  const std::uint32_t head = entries_.head();
  const auto visit = [](std::uint32_t, const RingEntries::Entry& entry) {
    return !entry.is_handed_over();
  };
  if (!known_ || !entries_.walk(at_, head, visit)) {
    return {};
  }
  return {.from = at_, .to = head};
}

std::optional<PassedOver::Item> PassedOver::next_of(const Rest& rest) {
  while (known_ && at_ != rest.to) {
    const std::optional<RingEntries::Entry> entry = entries_.at(at_, rest.to);
    if (!entry) {
      known_ = false;
      break;
    }
    if (const std::optional<Item> item = pass(*entry)) {
      return item;
    }
  }
  return std::nullopt;
}

PassedOver::Item PassedOver::read_notice(std::uint32_t position, const RingEntries::Entry& entry) {
  named_.reset();
  abi::tcmu_tmr_entry notice;
  const std::span<const std::byte> bytes =
      mapping_.subspan(entries_.offset() + position, entry.length);
  if (bytes.size() < sizeof notice) {
    return {.is_notice = true, .cmd_id = 0, .named = 0};
  }
  std::memcpy(&notice, bytes.data(), sizeof notice);
  const std::size_t room = (bytes.size() - sizeof notice) / sizeof(std::uint16_t);
  const std::size_t count = std::min<std::size_t>(notice.cmd_cnt, room);
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t id = 0;
    std::memcpy(&id, bytes.data() + sizeof notice + i * sizeof id, sizeof id);
    named_.set(id);
  }
  return {.is_notice = true, .cmd_id = 0, .named = count};
}

}  // namespace ballast::handler
