// SPDX-License-Identifier: Apache-2.0
// Holds the task set to its promises in time (lib/scsi/task_set.h), at the end of every tick:
//
//   deadline   A command is answered no later than its deadline (the longest that was in force
//              while it lived), or a moment after the LUN held all its commands; in any case by
//              longest_hold, where there is one. Excepted are those that may be held by themselves:
//              COMPARE AND WRITE, and changes where the store is not exclusively ours, while an
//              operation of theirs is at the store; they are answered in the moment when their last
//              one ends.
//   held       Such a command is not answered while a write of it is still at the store; or, where
//              the LUN is being closed, not BUSY.
//   belief     Nobody is answered BUSY for a deadline or a stall `busy_for` after the arrival of
//              the oldest that was answered BUSY in this trouble, or of itself. And the LUN holds
//              its commands only if one of the two is so old.
//   stalled    stalled() agrees with the age of the store's oldest operation.
//   window     A moment after a LUN became stalled it holds no more than stall_window unanswered
//              commands that are not held, or its share of the room; unless it holds all.
//   no reason  Nobody is answered BUSY well before the deadline unless the LUN is stalled, or was a
//              moment ago. (Not those that may be held: a stall may have held them long ago.)
//   orphans    are no more than the volume's queue depth.
//
// A moment is what cancelling takes, and a millisecond. Tells a Verdict.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "lib/scsi/task_set.h"
#include "tests/sim/issued.h"
#include "tests/sim/sim_backend.h"
#include "tests/sim/verdict.h"

namespace ballast::sim {

class Monitor {
 public:
  Monitor(const SimBackend& store, Verdict& verdict) : store_{store}, verdict_{verdict} {}

  // The limits that count from now on.
  void limits(TimePoint now, const scsi::TaskSetLimits& limits);
  // So many other LUNs are stalled from now on.
  void siblings(TimePoint now, std::size_t stalled);
  void answered(const Issued& command, const scsi::TaskSet& tasks);
  // `unanswered` in the order of their coming. Not while the LUN is being closed.
  void look(TimePoint now, const scsi::TaskSet& tasks, std::size_t most_orphans,
            const std::vector<Issued*>& unanswered);
  // Nothing that was seen until now counts: the LUN is being closed, or was opened.
  void forget();

 private:
  struct Change {
    TimePoint at;
    scsi::TaskSetLimits limits;
  };
  // Shortest and longest of those in force.
  std::pair<Nanoseconds, Nanoseconds> deadlines(TimePoint from, TimePoint to) const;
  bool in_time(const Issued& command) const;
  void check_held(const Issued& command);
  void check_belief(const Issued& command);
  void look_at_belief(TimePoint now, const scsi::TaskSet& tasks,
                      const std::vector<Issued*>& unanswered);
  void check_reason(const Issued& command, const scsi::TaskSet& tasks, Nanoseconds shortest);
  bool may_be_held(const Issued& command) const;
  // Whether an operation that may be this command's was at the store at a time, or ended then.
  bool at_store(const Issued& command, TimePoint at) const;
  bool left_store(const Issued& command, TimePoint at) const;
  void look_at_stall(TimePoint now, bool stalled);
  void look_at_window(TimePoint now, const std::vector<Issued*>& unanswered);

  const SimBackend& store_;
  Verdict& verdict_;
  std::vector<Change> changes_;
  std::optional<TimePoint> stalled_since_;
  std::optional<TimePoint> mismatch_since_;
  std::optional<TimePoint> last_stalled_;
  std::size_t siblings_ = 0;
  bool had_siblings_ = false;
  TimePoint window_since_{};  // neither limits nor siblings have changed since
  // The oldest arrival in this trouble: in what is certainly one, and in what may be one.
  TimePoint first_busy_told_{};
  std::optional<TimePoint> first_busy_;
  std::optional<TimePoint> may_be_first_busy_;
  std::optional<TimePoint> calm_since_;
  TimePoint last_busy_{};
  bool holding_ = false;
  std::optional<TimePoint> last_holding_;
  std::uint64_t stalls_ = 0;  // that were seen, of those that the task set counts
};

}  // namespace ballast::sim
