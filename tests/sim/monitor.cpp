// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/monitor.h"

#include <algorithm>

namespace ballast::sim {
namespace {

constexpr Nanoseconds slack = std::chrono::milliseconds{1};
constexpr Nanoseconds moment = scsi::TaskSet::cancel_grace + slack;

double seconds(Nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// The flush of a change that has to be durable counts as a part of it.
bool may_be_of(const SimBackend::Op& op, const Issued& command) {
  if (op.started < command.arrived) {
    return false;
  }
  return op.kind == OpKind::flush ||
         (changes(op.kind) &&
          std::any_of(command.wish.ranges.begin(), command.wish.ranges.end(),
                      [&](const Range& range) { return op.touches(range.lba, range.count); }));
}

}  // namespace

void Monitor::limits(TimePoint now, const scsi::TaskSetLimits& limits) {
  changes_.push_back(Change{now, limits});
  forget();
}

void Monitor::forget() {
  stalls_ = 0;
  stalled_since_.reset();
  mismatch_since_.reset();
}

std::pair<Nanoseconds, Nanoseconds> Monitor::deadlines(TimePoint from, TimePoint to) const {
  Nanoseconds shortest = Nanoseconds::max();
  Nanoseconds longest{};
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    const bool over = i + 1 < changes_.size() && changes_[i + 1].at < from;
    if (!over && changes_[i].at <= to) {
      shortest = std::min(shortest, changes_[i].limits.deadline);
      longest = std::max(longest, changes_[i].limits.deadline);
    }
  }
  return {shortest, longest};
}

bool Monitor::may_be_held(const Issued& command) const {
  return command.wish.kind == Wish::Kind::compare_and_write ||
         (command.wish.changes() && !store_.capabilities().exclusive);
}

bool Monitor::at_store(const Issued& command, TimePoint at) const {
  return std::any_of(store_.ops().begin(), store_.ops().end(), [&](const SimBackend::Op& op) {
    return may_be_of(op, command) && op.started <= at && (op.running || op.ended >= at);
  });
}

bool Monitor::left_store(const Issued& command, TimePoint at) const {
  return std::any_of(store_.ops().begin(), store_.ops().end(), [&](const SimBackend::Op& op) {
    return may_be_of(op, command) && !op.running && op.ended == at;
  });
}

void Monitor::answered(const Issued& command, const scsi::TaskSet& tasks) {
  const Nanoseconds age = command.answered_at - command.arrived;
  const auto [shortest, deadline] = deadlines(command.arrived, command.answered_at);
  if (command.while_closing) {
    return;
  }
  if (tasks.stalled()) {
    last_stalled_ = command.answered_at;
  }
  if (may_be_held(command) && !command.wish.data.empty()) {
    check_held(command);
  }
  if (command.aborted_at.has_value()) {
    if (!may_be_held(command) && command.answered_at - *command.aborted_at > moment) {
      verdict_.complain("command {} {} is answered {} s after it was aborted", command.number,
                        command.wish.description(),
                        seconds(command.answered_at - *command.aborted_at));
    }
  } else if (command.status == scsi::Status::busy && !may_be_held(command)) {
    check_reason(command, tasks, shortest);
  }
  if (age <= deadline) {
    return;
  }
  if (!may_be_held(command)) {
    verdict_.complain("command {} {} is answered after {} s, its deadline was {} s", command.number,
                      command.wish.description(), seconds(age), seconds(deadline));
  } else if (!at_store(command, command.arrived + deadline) ||
             !left_store(command, command.answered_at)) {
    verdict_.complain(
        "command {} {} is answered after {} s, its deadline was {} s, and no operation of it was "
        "at the store then, or has ended now",
        command.number, command.wish.description(), seconds(age), seconds(deadline));
  }
}

// Nobody else writes data of this number while this command is unanswered.
void Monitor::check_held(const Issued& command) {
  const std::uint32_t data = command.wish.data.front().data();
  for (const SimBackend::Op& op : store_.ops()) {
    if (data != 0 && op.running && op.data == data && op.started >= command.arrived) {
      verdict_.complain("command {} {} is answered {} while it is being written", command.number,
                        command.wish.description(), command.outcome());
    }
  }
}

void Monitor::check_reason(const Issued& command, const scsi::TaskSet& tasks,
                           Nanoseconds shortest) {
  const Nanoseconds age = command.answered_at - command.arrived;
  const bool stalled = last_stalled_.has_value() && command.answered_at - *last_stalled_ <= moment;
  if (stalled || age >= shortest - std::min(shortest / 2, scsi::TaskSet::cancel_grace)) {
    return;
  }
  // A stall may come and go between two looks at it: what it shed has made room.
  watch::LunSnapshot snapshot;
  tasks.describe(&snapshot);
  if (snapshot.counters.stalls > stalls_) {
    stalls_ = snapshot.counters.stalls;
    last_stalled_ = command.answered_at;
    return;
  }
  verdict_.complain("command {} {} is answered BUSY after {} s for no reason", command.number,
                    command.wish.description(), seconds(age));
}

void Monitor::look(TimePoint now, const scsi::TaskSet& tasks, std::size_t most_orphans,
                   const std::vector<Issued*>& unanswered) {
  if (tasks.orphans() > most_orphans) {
    verdict_.complain("{} orphans, {} are allowed", tasks.orphans(), most_orphans);
  }
  look_at_stall(now, tasks.stalled());
  if (tasks.stalled()) {
    last_stalled_ = now;
    stalled_since_ = stalled_since_.value_or(now);
    look_at_window(now, unanswered);
  } else {
    stalled_since_.reset();
  }
}

void Monitor::look_at_stall(TimePoint now, bool stalled) {
  const Nanoseconds stall_after = changes_.back().limits.stall_after;
  const bool none = store_.running() == 0;
  const TimePoint oldest = store_.oldest_start();
  const bool must = !none && now - oldest > stall_after + slack;
  const bool may = must || (!none && stalled && now - store_.oldest_work() >= stall_after);
  if (stalled ? may : !must) {
    mismatch_since_.reset();
    return;
  }
  if (mismatch_since_.has_value() && now - *mismatch_since_ > slack) {
    verdict_.complain(
        "{}: the oldest operation is {} s old, stall_after is {} s, and the task set says it is "
        "{}stalled",
        seconds(now.since_start), none ? 0.0 : seconds(now - oldest), seconds(stall_after),
        stalled ? "" : "not ");
  }
  mismatch_since_ = mismatch_since_.value_or(now);
}

void Monitor::look_at_window(TimePoint now, const std::vector<Issued*>& unanswered) {
  const std::size_t window = changes_.back().limits.stall_window;
  if (now - *stalled_since_ <= moment || unanswered.size() <= window) {
    return;
  }
  std::size_t counted = 0;
  for (const Issued* const command : unanswered) {
    const bool held = may_be_held(*command) && at_store(*command, now);
    counted += held ? 0 : 1;
  }
  if (counted > window) {
    verdict_.complain("{}: stalled for {} s, and {} commands are unanswered, {} are allowed",
                      seconds(now.since_start), seconds(now - *stalled_since_), counted, window);
  }
}

}  // namespace ballast::sim
