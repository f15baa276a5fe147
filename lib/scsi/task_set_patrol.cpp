// SPDX-License-Identifier: Apache-2.0
// What time does to commands: deadlines, orphans, the stalled LUN (task_set.h says what must come
// of it).
#include <algorithm>
#include <chrono>
#include <utility>

#include "lib/base/log.h"
#include "lib/scsi/task_set.h"
#include "lib/scsi/task_slot.h"

namespace ballast::scsi {

// --- the patrol
// -----------------------------------------------------------------------------------

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

// Does what is due; returns when to look again at the latest.
TimePoint TaskSet::patrol() {
  const TimePoint now = executor().now();
  TimePoint next = now + patrol_interval();
  report_slow(now, &next);
  const Nanoseconds early = limits_.deadline - grace();
  while (Slot* const oldest = waiting_.front()) {
    if (oldest->record.arrived + early > now) {
      next = std::min(next, oldest->record.arrived + early);
      break;
    }
    end_early(*oldest, Reason::deadline);
  }
  while (Slot* const first = ending_.front()) {
    if (first->ending_since + grace() > now) {
      next = std::min(next, first->ending_since + grace());
      break;
    }
    orphan(*first);
  }
  if (const AtBackend* const oldest = at_backend_.front(); oldest != nullptr && !stalled_) {
    if (oldest->since + limits_.stall_after <= now) {
      become_stalled(now);
      next = std::min(next, now + grace());
    } else {
      next = std::min(next, oldest->since + limits_.stall_after);
    }
  }
  return next;
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

void TaskSet::become_stalled(TimePoint now) {
  stalled_ = true;
  stalled_since_ = now;
  ++counters_.stalls;
  log(LogLevel::warning,
      "{}: stalled: {} at the backend since {:.1f} s; holding {} commands of {} until it answers",
      executor().name(), at_backend_.front()->slot->record.name,
      std::chrono::duration<double>(now - at_backend_.front()->since).count(), limits_.stall_window,
      unanswered_);
  shed();
}

void TaskSet::shed() {
  while (unanswered_ > limits_.stall_window + ending_.size() && !waiting_.empty()) {
    end_early(*waiting_.back(), Reason::stalled);
  }
}

void TaskSet::entered_backend(Slot& slot) {
  const TimePoint now = executor().now();
  slot.record.enter(watch::Stage::backend, now);
  slot.at_backend.since = now;
  at_backend_.push_back(slot.at_backend);
}

void TaskSet::left_backend(Slot& slot) {
  slot.record.enter(watch::Stage::queue, executor().now());
  at_backend_.remove(slot.at_backend);
  if (slot.list == &held_ && !slot.request.irrevocable()) {
    slot.request.stop();  // its time was up long ago: what is left of it is not begun
  }
  if (stalled_) {
    recover(executor().now());
  }
}

// No longer stalled, unless what is oldest now is too old as well.
void TaskSet::recover(TimePoint now) {
  const AtBackend* const oldest = at_backend_.front();
  if (oldest != nullptr && oldest->since + limits_.stall_after <= now) {
    return;
  }
  stalled_ = false;
  wake_.set();  // while the LUN was stalled the patrol did not look out for the next stall
  log(LogLevel::warning, "{}: answers again after {:.1f} s; {} orphans are left", executor().name(),
      std::chrono::duration<double>(now - stalled_since_).count(), orphans_.size());
}

// --- ending early
// ---------------------------------------------------------------------------------

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
    wake_.set();  // the patrol looks after those that have cancel_grace
  }
  return aborted;
}

std::uint64_t& TaskSet::counter_of(Reason reason) {
  switch (reason) {
    case Reason::stalled:
      return counters_.shed;
    case Reason::aborted:
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
           reason == Reason::stalled ? "BUSY: shed, the LUN is stalled"
           : adopting                ? "BUSY: its orphan still runs"
                                     : "BUSY: nothing of it is under way");
    forgotten_.push_back(slot);
    slot.list = &forgotten_;
    return;
  }
  const bool may_be_orphaned =
      !slot.request.irrevocable() &&
      (!slot.request.change_at_backend() || disk_.volume().capabilities().exclusive);
  if (!may_be_orphaned && reason != Reason::closing) {
    hold(slot);
    return;
  }
  leave_list(slot);
  slot.ending_since = executor().now();
  ending_.push_back(slot);
  slot.list = &ending_;
  slot.request.stop();
}

void TaskSet::hold(Slot& slot) {
  ++counters_.held;
  if (!slot.request.irrevocable() && !std::exchange(said_held_, true)) {
    log(LogLevel::warning,
        "{}: changes are held past their deadline while the storage is slow, because somebody else "
        "may write to it too: lock it for this target alone",
        executor().name());
  }
  leave_list(slot);
  held_.push_back(slot);
  slot.list = &held_;
}

void TaskSet::orphan(Slot& slot) {
  BALLAST_ASSERT(slot.request.stopped());
  // Not there any more: the coroutine is queued and ends in this very turn.
  const bool still_there = slot.request.at_backend() > 0;
  if (still_there) {
    slot.request.fence_off();
    ++counters_.orphaned;
  }
  answer(slot, slot.inner, Status::busy,
         still_there ? "BUSY: it goes on as an orphan" : "BUSY: ended in time");
  slot.record.orphan = still_there;
  Slots& next = still_there ? orphans_ : forgotten_;
  next.push_back(slot);
  slot.list = &next;
}

}  // namespace ballast::scsi
