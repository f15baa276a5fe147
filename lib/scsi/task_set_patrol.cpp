// SPDX-License-Identifier: Apache-2.0
// The patrol: deadlines, orphans, and the stalled LUN. task_set.h has the rules.
#include <algorithm>
#include <chrono>
#include <utility>

#include "lib/base/log.h"
#include "lib/scsi/task_set.h"
#include "lib/scsi/task_slot.h"

namespace ballast::scsi {

// --- the patrol

co::Task<void> TaskSet::keep_watch() {
  while (!leaving_) {
    if (commands_.live() == 0) {
      parked_ = true;
      co_await wake_.wait();
      parked_ = false;
    } else {
      const TimePoint next = patrol();
      (void)co_await wake_.wait_until(next);
    }
    wake_.reset();
  }
}

// Does everything that is due. Returns the time at which it must run again at the latest.
TimePoint TaskSet::patrol() {
  const TimePoint now = executor().now();
  TimePoint next = now + patrol_interval();
  report_slow(now, &next);
  look_for_stall(now, &next);
  look_for_calm(now);
  end_late_copies(now, &next);
  end_late(now, &next);
  while (Slot* const first = ending_.front()) {
    if (first->ending_since + grace() > now) {
      next = std::min(next, first->ending_since + grace());
      break;
    }
    orphan(*first);
  }
  return next;
}

// The oldest command in waiting_, of those that do not wait for another LUN; null: there is none.
TaskSet::Slot* TaskSet::oldest_of_ours() const {
  Slot* slot = waiting_.front();
  while (slot != nullptr && slot->record.stage == watch::Stage::source) {
    slot = waiting_.after(*slot);
  }
  return slot;
}

// Ends the commands that wait for another LUN at their deadline. They hold up nobody, and this LUN
// is well, so they are no part of what initiators believe of it.
void TaskSet::end_late_copies(TimePoint now, TimePoint* next) {
  Slot* after = nullptr;
  for (Slot* slot = waiting_.front(); slot != nullptr; slot = after) {
    after = waiting_.after(*slot);
    if (slot->record.stage != watch::Stage::source) {
      continue;
    }
    const TimePoint due = slot->record.arrived + (limits_.deadline - grace());
    if (due > now) {
      *next = std::min(*next, due);
      return;
    }
    end_early(*slot, Reason::deadline);
  }
}

// Ends the commands whose deadline has come. If BUSY is not believed any more, ends those that have
// come to the longest hold.
void TaskSet::end_late(TimePoint now, TimePoint* next) {
  bool ended = false;
  while (Slot* const oldest = oldest_of_ours()) {
    const TimePoint arrived = oldest->record.arrived;
    TimePoint due = arrived + (limits_.deadline - grace());
    if (due <= now && !believed(arrived, now)) {
      if (limits_.longest_hold == Nanoseconds{}) {
        break;
      }
      due = arrived + (limits_.longest_hold - grace());
    }
    if (due > now) {
      *next = std::min(*next, due);
      break;
    }
    end_early(*oldest, Reason::deadline);
    ended = true;
  }
  if (ended && has_log_ && stalled(volume::Tier::store) && !stalled(volume::Tier::log)) {
    end_all_that_wait_for_store(now);
  }
}

void TaskSet::end_all_that_wait_for_store(TimePoint now) {
  count_by_tier(now);
  Slot* next = nullptr;
  for (Slot* slot = waiting_.front(); slot != nullptr; slot = next) {
    next = waiting_.after(*slot);
    if (may_be_shed(*slot) && slot->record.stage != watch::Stage::source &&
        believed(slot->record.arrived, now)) {
      end_early(*slot, Reason::stalled);
    }
  }
}

void TaskSet::report_slow(TimePoint now, TimePoint* next) {
  for (Slot* slot = waiting_.front(); slot != nullptr; slot = waiting_.after(*slot)) {
    if (slot->record.arrived + limits_.slow > now) {
      *next = std::min(*next, slot->record.arrived + limits_.slow);
      return;
    }
    if (!std::exchange(slot->record.reported, true)) {
      slow_log_.begin(slot->record, now);
    }
  }
}

// --- the stalled LUN

Nanoseconds TaskSet::stall_after() const {
  const std::uint32_t others = stalled_luns_.count() - (stalled_place_.has_value() ? 1 : 0);
  return others > 0 ? limits_.stall_after / sooner : limits_.stall_after;
}

void TaskSet::note_who_waits_for_store(TimePoint now) {
  for (AtBackend* one = at_backend_.front(); one != nullptr; one = at_backend_.after(*one)) {
    if (one->slot->request.tier() == volume::Tier::store) {
      one->in_store = now;
    }
  }
}

// A change that the log held, or had no room for, waited for the store. When the log takes it after
// all, that time is not the log's.
TaskSet::Oldest TaskSet::oldest_in(volume::Tier tier) const {
  Oldest oldest;
  for (AtBackend* one = at_backend_.front(); one != nullptr; one = at_backend_.after(*one)) {
    if (one->slot->request.tier() != tier) {
      continue;
    }
    if (tier == volume::Tier::store) {
      return {one, one->since};
    }
    const TimePoint since = std::max(one->since, one->in_store);
    if (oldest.operation == nullptr || since < oldest.since) {
      oldest = {one, since};
    }
  }
  return oldest;
}

void TaskSet::look_for_stall(TimePoint now, TimePoint* next) {
  if (has_log_) {
    note_who_waits_for_store(now);
  }
  for (const volume::Tier tier : volume::tiers) {
    const Oldest oldest = oldest_in(tier);
    if (oldest.operation == nullptr) {
      continue;
    }
    if (!stalled(tier) && oldest.since + stall_after() <= now) {
      become_stalled(tier, oldest, now);
    } else if (!stalled(tier)) {
      *next = std::min(*next, oldest.since + limits_.stall_after);
    }
    // From this time on, stall_after() depends on other LUNs.
    const TimePoint matters = oldest.since + limits_.stall_after / sooner;
    *next = std::min(*next, std::max(matters, now + share_interval));
  }
  if (stalled()) {
    shed(now);
    *next = std::min(*next, now + grace());
  }
}

void TaskSet::become_stalled(volume::Tier tier, const Oldest& oldest, TimePoint now) {
  const bool was_stalled = stalled();
  stalled_[tier] = true;
  stalled_since_[tier] = now;
  ++counters_.stalls;
  if (!unanswered_.closed() && !stalled_place_.has_value()) {
    stalled_place_.emplace(stalled_luns_);
  }
  count_by_tier(now);
  log(LogLevel::warning,
      "{}: stalled: {} has waited for the storage for {:.1f} s; Ballast keeps {} of its {} "
      "commands waiting, and answers the others BUSY",
      executor().name(), oldest.operation->slot->record.name,
      std::chrono::duration<double>(now - oldest.since).count(),
      std::min<std::size_t>(window(), stuck()), stuck());
  if (!was_stalled && !unanswered_.closed()) {
    front_end_.stalled(oldest.operation->slot->record);
  }
}

// The tier that the command waits for, or will wait for.
volume::Tier TaskSet::tier_of(const Slot& slot, TimePoint now) const {
  if (slot.request.at_backend() > 0) {
    const bool flushes_first =
        slot.operation.transfer == Transfer::read && Disk::asks_fua(slot.inner);
    return flushes_first
               ? volume::slower(slot.request.tier(), disk_.tier_of(slot.inner, slot.operation))
               : slot.request.tier();
  }
  const bool waits_for_another = slot.record.stage == watch::Stage::fence || slot.adoption.linked();
  if (waits_for_another && slot.record.stage_since + stall_after() <= now) {
    return stalled(volume::Tier::store) ? volume::Tier::store : volume::Tier::log;
  }
  return disk_.tier_of(slot.inner, slot.operation);
}

void TaskSet::count_by_tier(TimePoint now) {
  if (!has_log_) {
    return;  // all of them are in one
  }
  for (const Slots* const slots : {&waiting_, &ending_, &held_}) {
    for (Slot* slot = slots->front(); slot != nullptr; slot = slots->after(*slot)) {
      --unanswered_in_[slot->outer->tier];
      slot->outer->tier = tier_of(*slot, now);
      ++unanswered_in_[slot->outer->tier];
    }
  }
}

// The unanswered commands that count in a stalled tier.
std::size_t TaskSet::stuck() const {
  std::size_t count = 0;
  for (const volume::Tier tier : volume::tiers) {
    count += stalled(tier) ? unanswered_in_[tier] : 0U;
  }
  return count;
}

bool TaskSet::may_be_shed(const Slot& slot) const {
  return stalled(slot.outer->tier) && needs_store(slot.operation);
}

// The youngest command that may be shed; null: there is none.
TaskSet::Slot* TaskSet::youngest_to_shed() {
  Slot* youngest = waiting_.back();
  if (youngest != nullptr && !may_be_shed(*youngest)) {
    youngest = nullptr;
    for (Slot* slot = waiting_.front(); slot != nullptr; slot = waiting_.after(*slot)) {
      youngest = may_be_shed(*slot) ? slot : youngest;
    }
  }
  return youngest;
}

void TaskSet::shed(TimePoint now) {
  count_by_tier(now);
  std::size_t ending = 0;  // these are on their way already
  for (const Slot* slot = ending_.front(); slot != nullptr; slot = ending_.after(*slot)) {
    ending += stalled(slot->outer->tier) ? 1U : 0U;
  }
  while (stuck() > window() + ending) {
    Slot* const youngest = youngest_to_shed();
    if (youngest == nullptr || !believed(youngest->record.arrived, now)) {
      return;
    }
    end_early(*youngest, Reason::stalled);
    ending += youngest->list == &ending_ ? 1U : 0U;
  }
}

void TaskSet::entered_backend(Slot& slot) {
  const TimePoint now = executor().now();
  const bool in_log = slot.request.tier() == volume::Tier::log;
  slot.record.enter(in_log ? watch::Stage::log : watch::Stage::backend, now);
  slot.at_backend.since = now;
  at_backend_.push_back(slot.at_backend);
}

void TaskSet::left_backend(Slot& slot) {
  slot.record.enter(watch::Stage::queue, executor().now());
  at_backend_.remove(slot.at_backend);
  if (slot.list == &held_ && !slot.request.irrevocable()) {
    slot.request.stop();  // its time was up long ago, so the rest of it is not begun
  }
  if (stalled()) [[unlikely]] {
    recover(executor().now());
  }
}

// Ends the stall of each tier whose oldest operation is not too old any more.
void TaskSet::recover(TimePoint now) {
  for (const volume::Tier tier : volume::tiers) {
    const Oldest oldest = oldest_in(tier);
    if (!stalled(tier) || (oldest.operation != nullptr && oldest.since + stall_after() <= now)) {
      continue;
    }
    stalled_[tier] = false;
    if (!stalled()) {
      stalled_place_.reset();
    }
    wake_.set();  // while the tier was stalled, the patrol did not watch for the next stall
    log(LogLevel::warning, "{}: the storage answers again after {:.1f} s; orphans left: {}",
        executor().name(), std::chrono::duration<double>(now - stalled_since_[tier]).count(),
        orphans_.size());
    if (!stalled() && !unanswered_.closed()) {
      front_end_.recovered();
    }
  }
}

// --- belief

// Whether BUSY may be answered now for a command that came at `arrived`: no initiator would have
// seen BUSY for longer than busy_for.
bool TaskSet::believed(TimePoint arrived, TimePoint now) const {
  const TimePoint since = in_trouble_ ? std::min(trouble_since_, arrived) : arrived;
  return now - since < limits_.busy_for;
}

bool TaskSet::holding() const {
  const Slot* const oldest = oldest_of_ours();
  return oldest != nullptr && !believed(oldest->record.arrived, executor_.now());
}

void TaskSet::note_busy(TimePoint arrived, TimePoint now) {
  trouble_since_ = in_trouble_ ? std::min(trouble_since_, arrived) : arrived;
  in_trouble_ = true;
  last_busy_ = now;
}

void TaskSet::look_for_calm(TimePoint now) {
  const Slot* const oldest = oldest_of_ours();
  const bool late =
      !ending_.empty() || !held_.empty() ||
      (oldest != nullptr && oldest->record.arrived + (limits_.deadline - grace()) <= now);
  if (!stalled() && !late && (!in_trouble_ || now - last_busy_ >= limits_.deadline)) {
    in_trouble_ = false;
    said_holding_ = false;
  } else if (holding() && !std::exchange(said_holding_, true)) {
    log(LogLevel::warning,
        "{}: commands are held from now on, until they are done or aborted: initiators fail a "
        "command that is answered BUSY for too long",
        executor().name());
  }
}

// --- ending early

std::size_t TaskSet::abort(const std::function<bool(const Command&)>& meant) {
  std::size_t aborted = 0;
  Slot* next = nullptr;
  for (Slot* slot = waiting_.front(); slot != nullptr; slot = next) {
    next = waiting_.after(*slot);
    if (meant(*slot->outer)) {
      ++aborted;
      end_early(*slot, Reason::aborted);
    }
  }
  if (aborted > 0) {
    wake_.set();  // the patrol must see those that have cancel_grace
  }
  return aborted;
}

void TaskSet::end_all() {
  end_all(Reason::store_lost);
}

void TaskSet::end_all(Reason reason) {
  Slot* next = nullptr;
  for (Slot* slot = waiting_.front(); slot != nullptr; slot = next) {
    next = waiting_.after(*slot);
    if (reason != Reason::store_lost || needs_store(slot->operation)) {
      end_early(*slot, reason);
    }
  }
  while (Slot* const oldest = held_.front()) {
    ask_to_end(*oldest);
  }
  wake_.set();  // the patrol must see those that have cancel_grace
}

std::uint64_t& TaskSet::counter_of(Reason reason) {
  switch (reason) {
    case Reason::stalled:
      return counters_.shed;
    case Reason::aborted:
    case Reason::store_lost:
      return counters_.aborted;
    case Reason::deadline:
    case Reason::closing:
      break;
  }
  return counters_.deadlines;
}

void TaskSet::end_early(Slot& slot, Reason reason) {
  BALLAST_ASSERT(slot.list == &waiting_);
  ++counter_of(reason);
  const bool adopting = slot.adoption.linked();
  if (slot.request.at_backend() == 0 || adopting) {
    slot.request.stop();
    if (adopting) {
      slot.adoption.leave();
    }
    answer(slot, slot.inner, Status::busy,
           reason == Reason::stalled ? watch::Because::shed
           : adopting                ? watch::Because::orphan_runs
                                     : watch::Because::not_under_way);
    move_to(forgotten_, slot);
    return;
  }
  const bool may_be_held = reason != Reason::closing && reason != Reason::store_lost;
  if (may_be_held && !may_be_repeated(slot)) {
    hold(slot);
    return;
  }
  ask_to_end(slot);
}

void TaskSet::ask_to_end(Slot& slot) {
  slot.ending_since = executor().now();
  move_to(ending_, slot);
  slot.request.stop();
}

// Whether the initiator may send the command again while it is still at the backend.
bool TaskSet::may_be_repeated(const Slot& slot) const {
  return !slot.request.irrevocable() &&
         (!slot.request.change_at_backend() || disk_.volume().capabilities().exclusive);
}

void TaskSet::hold(Slot& slot) {
  ++counters_.held;
  if (!slot.request.irrevocable() && !std::exchange(said_held_, true)) {
    log(LogLevel::warning,
        "{}: writes are held past their deadline while the storage is slow: the store is not "
        "locked, so somebody else may write to it too; use storage with file locks",
        executor().name());
  }
  move_to(held_, slot);
}

void TaskSet::orphan(Slot& slot) {
  BALLAST_ASSERT(slot.request.stopped());
  // If it is not there any more, its coroutine is queued and ends in this turn.
  const bool still_there = slot.request.at_backend() > 0;
  if (still_there) {
    slot.request.fence_off();
    ++counters_.orphaned;
  }
  if (still_there && !may_be_repeated(slot)) {
    answer(slot, slot.inner, disk_.outcome_unknown(slot.inner), watch::Because::outcome_unknown);
  } else {
    answer(slot, slot.inner, Status::busy,
           still_there ? watch::Because::orphaned : watch::Because::ended_in_time);
  }
  slot.record.orphan = still_there;
  move_to(still_there ? orphans_ : forgotten_, slot);
}

}  // namespace ballast::scsi
