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
//              Copies from the neighbour, for which BUSY was not believed by then, may be more.
//   no reason  No command is answered BUSY well before the deadline unless the LUN is stalled, or
//              was a moment ago. (Commands that may be held are left out: a stall may have held
//              them long ago.)
//   orphans    There are no more than the volume's queue depth; with a log, than twice as many.
//
// With a log before the store (sim_log.h), some of this is different:
//   log alone  A command that needs the log alone, all its life, is not answered BUSY. These are
//              changes and flushes while the log works and less than three quarters of it are
//              used, and reads of what it has. (COMPARE AND WRITE may hold others up, so nothing is
//              judged while one is unanswered, or its orphan is there; nor while there are few
//              buffers; nor is WRITE SAME of other than zeros, which needs a buffer of those that
//              comparisons at the store have.)
//   hangs      The log is never stalled, because its disk answers.
//   stalled    A LUN one of whose reads has been at the store for so long is stalled. That it is
//              not stalled otherwise is not judged, because changes may wait for room in the log.
//   window     Only reads of what the log does not have count.
//   held       Not judged: the log writes changes to the store at any time. So is the exception of
//              `deadline`: such a command may be answered late.
//
// A moment is the time that cancelling takes, and a millisecond. The monitor tells a Verdict.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "lib/scsi/task_set.h"
#include "tests/sim/issued.h"
#include "tests/sim/sim_backend.h"
#include "tests/sim/sim_log.h"
#include "tests/sim/verdict.h"

namespace ballast::sim {

class Monitor {
 public:
  // `log`: null if there is none.
  Monitor(const SimBackend& store, const SimLog* log, Verdict& verdict)
      : store_{store}, log_{log}, verdict_{verdict} {}

  // The limits that are in force from now on.
  void limits(TimePoint now, const scsi::TaskSetLimits& limits);
  // `stalled`: how many other LUNs are stalled from now on.
  void siblings(TimePoint now, std::size_t stalled);
  void arrived(Issued& command);
  // Whether there may be too few buffers from now on.
  void short_of_buffers(bool is) { short_of_buffers_ = is; }
  void answered(const Issued& command, const scsi::TaskSet& tasks);
  // `unanswered`: in the order of arrival. Not called while the LUN is being closed.
  void look(TimePoint now, const scsi::TaskSet& tasks, std::size_t most_orphans,
            std::uint32_t capacity, const std::vector<Issued*>& unanswered);
  // Commands that a log alone answered well while the LUN was stalled.
  std::uint64_t answered_by_log() const { return answered_by_log_; }
  // Whether the log ever was full.
  bool log_was_full() const { return log_was_full_; }
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
  bool needs_store_alone(const Issued& command) const;
  bool needs_log_alone(const Issued& command) const;
  void look_at_log(const scsi::TaskSet& tasks, const std::vector<Issued*>& unanswered);
  void check_log(const Issued& command, const scsi::TaskSet& tasks);
  // Whether an operation that may belong to this command was at the store at that time, or ended
  // then.
  bool at_store(const Issued& command, TimePoint at) const;
  bool left_store(const Issued& command, TimePoint at) const;
  void look_at_stall(TimePoint now, bool stalled);
  void look_at_window(TimePoint now, const std::vector<Issued*>& unanswered);

  const SimBackend& store_;
  const SimLog* const log_;
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
  TimePoint last_may_be_busy_{};  // of a copy from the neighbour
  bool holding_ = false;
  std::optional<TimePoint> last_holding_;
  std::uint32_t capacity_ = 0;  // of the LUN, in blocks
  std::uint64_t answered_by_log_ = 0;
  bool log_was_full_ = false;
  bool short_of_buffers_ = false;
  bool reader_is_orphan_ = false;  // perhaps
  bool held_up_ = false;           // such a command may hold others up
  std::uint64_t stalls_ = 0;       // stalls seen, of those that the task set counts
};

}  // namespace ballast::sim
