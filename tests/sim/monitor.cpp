// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/monitor.h"

#include <algorithm>

#include "lib/co/timer.h"

namespace ballast::sim {
namespace {

constexpr Nanoseconds slack = std::chrono::milliseconds{1};
constexpr Nanoseconds moment = scsi::TaskSet::cancel_grace + slack;
// Where it matters what other LUNs do.
constexpr Nanoseconds glance = scsi::TaskSet::share_interval + slack;

double seconds(Nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// The age at which a command is asked to end.
Nanoseconds time_of_its_own(Nanoseconds deadline) {
  return deadline - std::min(deadline / 2, scsi::TaskSet::cancel_grace);
}

// Changes behind it wait until it has read, from the store perhaps.
bool reads_and_changes(const Wish& wish) {
  return wish.kind == Wish::Kind::compare_and_write || wish.kind == Wish::Kind::copy;
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
  window_since_ = now;
  if (holding_) {
    last_holding_ = now;  // until now
  }
  forget();
}

void Monitor::siblings(TimePoint now, std::size_t stalled) {
  siblings_ = stalled;
  had_siblings_ = had_siblings_ || stalled > 0;
  window_since_ = now;
}

void Monitor::forget() {
  stalls_ = 0;
  stalled_since_.reset();
  mismatch_since_.reset();
  first_busy_.reset();
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
    if (may_be_held(command) && command.status == scsi::Status::busy &&
        !command.wish.data.empty()) {
      check_held(command);
    }
    return;
  }
  if (log_ != nullptr) {
    check_log(command, tasks);
  }
  if (command.status == scsi::Status::busy) {
    check_belief(command);
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
  if (in_time(command)) {
    return;
  }
  if (!may_be_held(command)) {
    verdict_.complain("command {} {} is answered after {} s, its deadline was {} s", command.number,
                      command.wish.description(), seconds(age), seconds(deadline));
  } else if (log_ != nullptr) {
    return;
  } else if (!at_store(command, std::max(command.arrived + deadline,
                                         last_holding_.value_or(command.arrived))) ||
             !left_store(command, command.answered_at)) {
    verdict_.complain(
        "command {} {} is answered after {} s, its deadline was {} s, and no operation of it was "
        "at the store then, or has ended now",
        command.number, command.wish.description(), seconds(age), seconds(deadline));
  }
}

// --- a log before the store

bool Monitor::needs_log_alone(const Issued& command) const {
  const scsi::TaskSetLimits& limits = changes_.back().limits;
  const bool throttled = limits.max_iops > 0 || limits.max_bandwidth > Bytes{};
  if (log_ == nullptr || held_up_ || short_of_buffers_ || throttled) {
    return false;
  }
  const Wish& wish = command.wish;
  switch (wish.kind) {
    case Wish::Kind::write:
      return !wish.and_verify && log_->has_room();
    case Wish::Kind::write_same:
    case Wish::Kind::unmap:
    case Wish::Kind::flush:
      return log_->has_room();
    case Wish::Kind::read:
      // If the log has failed, it may wait for a change that perhaps is in the log.
      return log_->covers(wish.range()) && log_->works() && (!wish.fua || log_->has_room());
    default:
      return false;
  }
}

// A read beyond the end needs nothing of the store either: it is refused.
bool Monitor::needs_store_alone(const Issued& command) const {
  if (log_ == nullptr || command.wish.kind != Wish::Kind::read) {
    return false;
  }
  const Range& range = command.wish.range();
  return range.lba + range.count <= capacity_ && !log_->covers(range);
}

void Monitor::arrived(Issued& command) {
  capacity_ = command.capacity;
  command.log_alone = needs_log_alone(command);
  command.store_alone = needs_store_alone(command);
}

void Monitor::look_at_log(const scsi::TaskSet& tasks, const std::vector<Issued*>& unanswered) {
  log_was_full_ = log_was_full_ || log_->is_full();
  constexpr Nanoseconds long_for_a_disk = std::chrono::milliseconds{150};
  if (tasks.stalled(volume::Tier::log) && changes_.back().limits.stall_after >= long_for_a_disk) {
    verdict_.complain("the log is stalled, although its disk answers");
  }
  if (tasks.orphans() == 0) {
    reader_is_orphan_ = false;
  }
  held_up_ = reader_is_orphan_ || std::ranges::any_of(unanswered, [](const Issued* command) {
               return reads_and_changes(command->wish);
             });
  for (Issued* const command : unanswered) {
    command->log_alone = command->log_alone && needs_log_alone(*command);
    command->store_alone = command->store_alone && needs_store_alone(*command);
  }
}

void Monitor::check_log(const Issued& command, const scsi::TaskSet& tasks) {
  if (reads_and_changes(command.wish) && !command.good()) {
    reader_is_orphan_ = true;
  }
  if (!command.log_alone || command.aborted_at.has_value()) {
    return;
  }
  if (command.status == scsi::Status::busy) {
    verdict_.complain("command {} {} is answered BUSY after {} s, and needs the log alone",
                      command.number, command.wish.description(),
                      seconds(command.answered_at - command.arrived));
  }
  answered_by_log_ += command.good() && tasks.stalled(volume::Tier::store) ? 1U : 0U;
}

// ---

// The LUN held all its commands until now.
bool Monitor::in_time(const Issued& command) const {
  if (!holding_ && (!last_holding_.has_value() || command.answered_at - *last_holding_ > moment)) {
    return false;
  }
  Nanoseconds longest{};
  for (const Change& change : changes_) {
    if (change.limits.longest_hold == Nanoseconds{}) {
      return true;
    }
    longest = std::max(longest, change.limits.longest_hold);
  }
  // It was asked to end when the limits changed, for the time that the new ones have for that.
  const bool changed = changes_.back().at > command.arrived;
  return command.answered_at - command.arrived <= longest + (changed ? moment : slack);
}

// What waits for the neighbour is answered BUSY at its deadline whatever is believed, and is no
// part of that. Where a copy was when it was answered is not known here.
void Monitor::check_belief(const Issued& command) {
  if (command.wish.from_neighbour) {
    const TimePoint oldest = may_be_first_busy_.value_or(command.arrived);
    may_be_first_busy_ = std::min(oldest, command.arrived);
    last_may_be_busy_ = command.answered_at;
    return;
  }
  const scsi::TaskSetLimits& limits = changes_.back().limits;
  const TimePoint oldest = std::min(first_busy_.value_or(command.arrived), command.arrived);
  const Nanoseconds age = command.answered_at - command.arrived;
  const bool forced = limits.longest_hold != Nanoseconds{} && age + moment >= limits.longest_hold;
  // The oldest was treated by other limits; or it was answered BUSY when this one had been asked to
  // end already.
  const bool told_before =
      oldest < changes_.back().at || command.answered_at - first_busy_told_ <= moment;
  if (!command.aborted_at.has_value() && !forced && !told_before && !may_be_held(command) &&
      command.answered_at - oldest > limits.busy_for + moment) {
    verdict_.complain("command {} {} is answered BUSY {} s after {} s, which is not believed",
                      command.number, command.wish.description(),
                      seconds(command.answered_at - oldest), seconds(limits.busy_for));
  }
  if (first_busy_ != oldest) {
    first_busy_ = oldest;
    first_busy_told_ = command.answered_at;
  }
  may_be_first_busy_ = std::min(may_be_first_busy_.value_or(oldest), oldest);
  last_busy_ = command.answered_at;
}

void Monitor::look_at_belief(TimePoint now, const scsi::TaskSet& tasks,
                             const std::vector<Issued*>& unanswered) {
  const scsi::TaskSetLimits& limits = changes_.back().limits;
  const Nanoseconds early =
      limits.deadline - std::min(limits.deadline / 2, scsi::TaskSet::cancel_grace);
  const TimePoint oldest = unanswered.empty() ? now : unanswered.front()->arrived;
  const bool until_now = std::exchange(holding_, tasks.holding());
  if (until_now) {
    last_holding_ = now;
  }
  if (holding_) {
    last_holding_ = now;
    if (now - std::min(may_be_first_busy_.value_or(now), oldest) < limits.busy_for) {
      verdict_.complain("{}: commands are held, and BUSY would be believed",
                        seconds(now.since_start));
    }
  }
  if (tasks.stalled() || oldest + early <= now || now - last_busy_ < limits.deadline) {
    calm_since_.reset();
    return;
  }
  first_busy_.reset();
  if (now - last_may_be_busy_ < limits.deadline) {
    calm_since_.reset();
    return;
  }
  calm_since_ = calm_since_.value_or(now);
  if (now - *calm_since_ > limits.deadline) {  // the patrol has seen it by now
    may_be_first_busy_.reset();
  }
}

// Nobody else writes data of this number while this command is unanswered. (Others may copy what an
// EXTENDED COPY copies.)
void Monitor::check_held(const Issued& command) {
  if (log_ != nullptr || command.wish.kind == Wish::Kind::copy) {
    return;
  }
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
  if (stalled || age >= time_of_its_own(shortest)) {
    return;
  }
  // A stall may come and go between two looks at it: what it shed has made room.
  watch::LunSnapshot snapshot;
  tasks.describe({}, &snapshot);
  if (snapshot.counters.stalls > stalls_) {
    stalls_ = snapshot.counters.stalls;
    last_stalled_ = command.answered_at;
    return;
  }
  verdict_.complain("command {} {} is answered BUSY after {} s for no reason", command.number,
                    command.wish.description(), seconds(age));
}

void Monitor::look(TimePoint now, const scsi::TaskSet& tasks, std::size_t most_orphans,
                   std::uint32_t capacity, const std::vector<Issued*>& unanswered) {
  capacity_ = capacity;
  if (log_ != nullptr) {
    look_at_log(tasks, unanswered);
    most_orphans *= 2;
  }
  if (tasks.orphans() > most_orphans) {
    verdict_.complain("{} orphans, {} are allowed", tasks.orphans(), most_orphans);
  }
  look_at_belief(now, tasks, unanswered);
  look_at_stall(now, tasks.stalled(volume::Tier::store));
  if (tasks.stalled()) {
    last_stalled_ = now;
    stalled_since_ = stalled_since_.value_or(now);
    look_at_window(now, unanswered);
  } else {
    stalled_since_.reset();
  }
}

void Monitor::look_at_stall(TimePoint now, bool stalled) {
  const Nanoseconds alone = changes_.back().limits.stall_after;
  const Nanoseconds sooner = alone / 3;
  const Nanoseconds stall_after = siblings_ > 0 ? sooner : alone;
  const TimePoint oldest = log_ != nullptr ? store_.oldest_read() : store_.oldest_start();
  const bool none = oldest == co::Timers::never;
  const bool must = !none && now - oldest > stall_after + slack;
  const bool may =
      must || log_ != nullptr ||
      (!none && stalled && now - store_.oldest_work() >= (had_siblings_ ? sooner : alone));
  if (stalled ? may : !must) {
    mismatch_since_.reset();
    return;
  }
  if (mismatch_since_.has_value() && now - *mismatch_since_ > glance) {
    verdict_.complain(
        "{}: the oldest operation is {} s old, stall_after is {} s, and the task set says it is "
        "{}stalled",
        seconds(now.since_start), none ? 0.0 : seconds(now - oldest), seconds(stall_after),
        stalled ? "" : "not ");
  }
  mismatch_since_ = mismatch_since_.value_or(now);
}

void Monitor::look_at_window(TimePoint now, const std::vector<Issued*>& unanswered) {
  std::size_t window = changes_.back().limits.stall_window;
  if (window == 0) {
    window = std::max<std::size_t>(1, scsi::StalledLuns::room / (siblings_ + 1));
  }
  const TimePoint since = std::max(*stalled_since_, window_since_);
  const bool recent = now - since <= moment + glance;
  const bool held = last_holding_.has_value() && now - *last_holding_ <= moment + glance;
  // Then nothing is shed. (Nobody is held if all that wait are copies from the neighbour.)
  const bool unbelieved = may_be_first_busy_.has_value() &&
                          now - *may_be_first_busy_ + glance >= changes_.back().limits.busy_for;
  if (recent || held || unbelieved || unanswered.size() <= window) {
    return;
  }
  // A copy from the neighbour that was older than busy_for when it might have been shed is kept:
  // BUSY is not believed for it. It waits for the neighbour, so it does not make the LUN hold its
  // commands (for any other command of that age the LUN holds all, see `held`). Such copies take up
  // the window; if they are more than that, they alone stay.
  const Nanoseconds believed_for = changes_.back().limits.busy_for;
  std::size_t counted = 0;
  std::size_t kept = 0;
  for (const Issued* const command : unanswered) {
    const Nanoseconds shortest = deadlines(command->arrived, now).first;
    const bool ends = now - command->arrived >= time_of_its_own(shortest);
    const bool counts =
        log_ != nullptr ? command->store_alone : !may_be_held(*command) || !at_store(*command, now);
    if (counts && !ends) {
      ++counted;
      const bool too_old = since + glance - command->arrived >= believed_for;
      kept += command->wish.from_neighbour && too_old ? 1U : 0U;
    }
  }
  const std::size_t allowed = std::max(window, kept);
  if (counted > allowed) {
    verdict_.complain("{}: stalled for {} s, and {} commands are unanswered, {} are allowed",
                      seconds(now.since_start), seconds(now - *stalled_since_), counted, allowed);
  }
}

}  // namespace ballast::sim
