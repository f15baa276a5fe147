// SPDX-License-Identifier: Apache-2.0
#include "handler/ring_cursor.h"

#include <sched.h>

#include <utility>

namespace ballast::handler {

class RingCursor::Held {
 public:
  explicit Held(std::atomic<bool>& taken) : taken_{taken} {
    while (taken_.exchange(true, std::memory_order_acquire)) {
      ::sched_yield();
    }
  }
  ~Held() { taken_.store(false, std::memory_order_release); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  std::atomic<bool>& taken_;
};

RingCursor::RingCursor(std::span<const std::byte> mapping)
    : entries_{mapping}, position_{entries_.tail()}, in_step_{entries_.size() > 0} {}

// If the position is known, the next command that is handed over must be this one.
bool RingCursor::step_over(std::uint16_t cmd_id) {
  bool found = false;
  std::uint32_t passed_over = passed_over_;
  const auto visit = [&](std::uint32_t position, const RingEntries::Entry& entry) {
    if (!entry.is_handed_over()) {
      passed_over += entry.is_passed_over() ? 1U : 0U;
      return true;
    }
    if (entry.cmd_id == cmd_id) {
      found = true;
      position_ = entries_.after(position, entry);
      passed_over_ = passed_over;
    }
    return false;
  };
  (void)entries_.walk(position_, entries_.head(), visit);
  return found;
}

// Entries from cmd_tail on are as the kernel wrote them. Several may bear this id, because the
// kernel reuses the ids of answered commands. The last of them is this command's.
bool RingCursor::find(std::uint16_t cmd_id) {
  bool found = false;
  const auto visit = [&](std::uint32_t position, const RingEntries::Entry& entry) {
    if (entry.is_handed_over() && entry.cmd_id == cmd_id) {
      found = true;
      position_ = entries_.after(position, entry);
    }
    return true;
  };
  (void)entries_.walk(entries_.tail(), entries_.head(), visit);
  return found;
}

bool RingCursor::arrived(std::uint16_t cmd_id) {
  const Held held{taken_};
  if (entries_.size() == 0) {
    return false;
  }
  const Next next = std::exchange(next_, Next{});
  if (next.known && next.cmd_id == cmd_id) {
    position_ = next.behind;
  } else if (!in_step_ || !step_over(cmd_id)) {
    in_step_ = find(cmd_id);
  }
  return look_for_more();
}

bool RingCursor::more() {
  const Held held{taken_};
  return look_for_more();
}

bool RingCursor::look_for_more() {
  const std::uint32_t head = entries_.head();
  if (next_.known || position_ == head || !in_step_) {
    return next_.known;
  }
  const std::optional<RingEntries::Entry> entry = entries_.at(position_);
  if (!entry || !entry->is_handed_over()) {
    return is_behind_others(head);
  }
  next_ = Next{.known = true, .cmd_id = entry->cmd_id, .behind = entries_.after(position_, *entry)};
  return true;
}

// Whether a command waits behind entries that the daemon passes over. Such a command is not noted
// in next_, because arrived() must count those entries first.
bool RingCursor::is_behind_others(std::uint32_t head) const {
  bool found = false;
  const auto visit = [&found](std::uint32_t, const RingEntries::Entry& entry) {
    found = entry.is_handed_over();
    return !found;
  };
  (void)entries_.walk(position_, head, visit);
  return found;
}

bool RingCursor::pass_by(std::uint32_t from, std::uint32_t to) {
  const Held held{taken_};
  if (in_step_ && position_ != from) {
    return false;
  }
  position_ = to;
  next_ = Next{};
  in_step_ = entries_.size() > 0;
  return true;
}

}  // namespace ballast::handler
