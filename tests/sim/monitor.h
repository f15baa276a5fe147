// SPDX-License-Identifier: Apache-2.0
// Monitor: checks, at the end of every tick, that the task set keeps its promises in time
// (lib/scsi/task_set.h):
//
//   deadline   A command is answered no later than its deadline (the longest that was in force
//              while it lived), or a moment after the LUN held all its commands; in any case by
//              longest_hold, if that is set. There are exceptions, which may be held: COMPARE AND
//              WRITE, and changes if the store is not exclusively ours, while one of their
//              operations is at the store. These are answered in the moment when their last
//              operation ends.
//   held       Such a command is not answered while one of its writes is still at the store; if the
//              LUN is being closed, it is only not answered BUSY.
//   belief     No command is answered BUSY for a deadline or a stall later than `busy_for` after
//              the arrival of the oldest command that was answered BUSY in this trouble, or after
//              its own arrival. And the LUN holds its commands only if one of the two is so old.
//   stalled    stalled() agrees with the age of the store's oldest operation.
//   window     A moment after a LUN became stalled, it has no more than stall_window unanswered
//              commands that are not held, or its share of the room; unless it holds all commands.
//   no reason  No command is answered BUSY well before the deadline unless the LUN is stalled, or
//              was a moment ago. (Commands that may be held are left out: a stall may have held
//              them long ago.)
//   orphans    There are no more than the volume's queue depth.
//
// A moment is the time that cancelling takes, and a millisecond. The monitor tells a Verdict.
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

  // The limits that are in force from now on.
  void limits(TimePoint now, const scsi::TaskSetLimits& limits);
  // `stalled`: how many other LUNs are stalled from now on.
  void siblings(TimePoint now, std::size_t stalled);
  void answered(const Issued& command, const scsi::TaskSet& tasks);
  // `unanswered`: in the order of arrival. Not called while the LUN is being closed.
  void look(TimePoint now, const scsi::TaskSet& tasks, std::size_t most_orphans,
            const std::vector<Issued*>& unanswered);
  // Forgets all that was seen, because the LUN is being closed or was opened.
  void forget();

 private:
  struct Change {
    TimePoint at;
    scsi::TaskSetLimits limits;
  };
  // The shortest and the longest deadline in force between the two times.
  std::pair<Nanoseconds, Nanoseconds> deadlines(TimePoint from, TimePoint to) const;
  bool in_time(const Issued& command) const;
  void check_held(const Issued& command);
  void check_belief(const Issued& command);
  void look_at_belief(TimePoint now, const scsi::TaskSet& tasks,
                      const std::vector<Issued*>& unanswered);
  void check_reason(const Issued& command, const scsi::TaskSet& tasks, Nanoseconds shortest);
  bool may_be_held(const Issued& command) const;
  // Whether an operation that may belong to this command was at the store at that time, or ended
  // then.
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
  TimePoint window_since_{};  // since then neither limits nor siblings have changed
  // The oldest arrival in this trouble: of a command that certainly belongs to it, and of one that
  // may.
  TimePoint first_busy_told_{};
  std::optional<TimePoint> first_busy_;
  std::optional<TimePoint> may_be_first_busy_;
  std::optional<TimePoint> calm_since_;
  TimePoint last_busy_{};
  bool holding_ = false;
  std::optional<TimePoint> last_holding_;
  std::uint64_t stalls_ = 0;  // stalls seen, of those that the task set counts
};

}  // namespace ballast::sim
