// SPDX-License-Identifier: Apache-2.0
// TaskSet: the task set of one LUN (SAM-5, 4.6.6). It has every command that came and is not over
// yet. It answers each command exactly once, whatever the backend does. It answers by the deadline
// as long as initiators believe BUSY, except for HELD commands (4 below).
//
// A command's way. begin() checks it. A command that needs no storage operation is answered at
// once. Any other becomes a task, which works on a buffer of its own: the backend must never read
// or write memory that is used for another command by then. The task copies data-out to the buffer,
// the disk carries the command out, the task copies data-in back, and the command is answered.
//
// A command is ended early when its deadline comes, when it is shed (STALL), or when task
// management aborts it:
//   1. Nothing of it is at the backend. It is answered BUSY, and nothing of it reaches the backend
//      any more. This is always safe.
//   2. Something of it is at the backend. The backend is asked to cancel it, and has `cancel_grace`
//      (before the deadline) to do so. If it ends without having been done, the answer is BUSY. If
//      it was done, its result is the answer.
//   3. If it does not end in that time, it becomes an ORPHAN. It is answered BUSY, and its
//      operation at the backend goes on. It keeps its buffer and its range until this operation
//      has ended, and everything that overlaps the range waits. No further operation of it is
//      started.
//   4. A change may become an orphan only if the store is exclusively ours
//      (Capabilities::exclusive). A COMPARE AND WRITE may not once its write is at the backend.
//      A command that must not become an orphan is HELD: it is answered when it ends, however late.
//
// BELIEF. An initiator believes BUSY only for a limited time. Linux gives up a command that is
// answered BUSY (max_retries + 1) x timeout after it was first issued (scsi_cmd_runtime_exceeced in
// drivers/scsi/scsi_lib.c). That is 180 s with the default settings. But if no answer comes, Linux
// aborts the command and sends it again whatever its age (scmd_eh_abort_handler), up to five times
// with 60 s each. So BUSY is answered for no longer than `busy_for`, counted from the arrival of
// the oldest command that was answered BUSY in this trouble. After that, no command is answered
// BUSY for a deadline or a stall. Commands are kept, also those that come then, until they are done
// or aborted (or until `longest_hold`, if the front end would answer by itself). The trouble is
// over when the LUN is not stalled, no unanswered command is past its deadline, and no command was
// answered BUSY for the time of a whole deadline: by then the initiators have sent those commands
// again. If `busy_for` is not above deadline - cancel_grace, no command is answered BUSY for its
// deadline.
//
// The answer is BUSY and not TASK SET FULL. After TASK SET FULL, Linux shrinks the LUN's queue
// depth and takes minutes to raise it again.
//
// ADOPTION. A command equals an orphan if it has the same CDB and, for data-out, the same bytes.
// Such a command does no work. It adopts the orphan: it takes over the orphan's result. This is
// allowed for WRITE, WRITE SAME and UNMAP. It is allowed for READ (without FUA) if no overlapping
// change is under way, and none has ended since the orphan's read began. Nothing is adopted across
// a change of the capacity or the mode pages. If the orphan ends with anything but GOOD, the
// adopter does the work itself.
//
// STALL. The LUN is stalled while its oldest operation at the backend, including those of orphans,
// is older than `stall_after`. While other LUNs of the process are stalled (StalledLuns), a third
// of that time is enough, because this LUN would take the commands that they do not hold any more.
// A stalled LUN holds at most `stall_window` unanswered commands, or its share of the room. The
// youngest commands beyond that are ended early (they are shed), and commands that come then are
// answered BUSY. Both happen only as long as BUSY is believed. Shares change as LUNs stall and
// recover, so a LUN checks every `share_interval`. As soon as no operation is that old any more,
// the LUN has its full depth again. Commands that need no storage operation are always answered,
// and never shed.
//
// TIERS. If the volume has a log (lib/volume/tier.h), each tier stalls on its own. A stall concerns
// only the commands that wait for a stalled tier: these are counted and shed, and the others go on.
// A command that has nothing at the backend counts in the tier that it will need. begin() asks the
// disk for that, and each shedding asks again, because the log's coverage changes. A command that
// waits for another one, behind its fence or for its result, and has done so for the time that
// makes a stall, counts in the stalled tier.
//
// TOGETHER. After BUSY, Linux sends a disk nothing more until another command of that disk has been
// done, or none is outstanding (device_blocked, in scsi_dev_queue_ready of
// drivers/scsi/scsi_lib.c). So one read that was answered BUSY at its deadline, while a younger one
// still waits for a stalled store, would keep back the changes that the log could take, until the
// younger one is answered. So when the deadline of one comes, all that wait for a stalled store are
// ended with it, if the log is well. The initiator sends them again at once, and they have one
// deadline from then on.
//
// CLOSING. shut() answers everything in bounded time, held commands too. A command that may become
// an orphan is answered BUSY. If a command must not become one, and the backend cannot end it, it
// is answered CHECK CONDITION, HARDWARE ERROR, INTERNAL TARGET FAILURE, because its outcome is
// unknown. Initiators report this and do not repeat the command. After BUSY they would repeat it. A
// COMPARE AND WRITE would then miscompare with the data that it has written itself. A WRITE to a
// store that is not locked would be repeated through another target, or through the next daemon. It
// would be acknowledged there, and the first WRITE could land over newer data later.
//
// Bounds. There are at most `most_commands` at once in each tier; further ones are answered TASK
// SET FULL. The data of all of them, orphans included, is in the buffer pool. There are no more
// orphans in a tier than the volume's queue_depth.
//
// Time. All commands of a LUN have the same deadline, so they expire in the order in which they
// came. One list and one timer are enough, on which a single task sleeps (the patrol). A command
// needs no timer.
//
// Only the driving thread of the disk's executor uses it. In steady state a command allocates
// nothing from the heap. The disk and the front end outlive it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "lib/base/limits.h"
#include "lib/base/units.h"
#include "lib/co/event.h"
#include "lib/co/gate.h"
#include "lib/co/intrusive_list.h"
#include "lib/co/task_group.h"
#include "lib/io/buffer_pool.h"
#include "lib/scsi/command.h"
#include "lib/scsi/disk.h"
#include "lib/scsi/log_pages.h"
#include "lib/scsi/opcode_table.h"
#include "lib/scsi/stalled_luns.h"
#include "lib/scsi/throttle.h"
#include "lib/volume/request.h"
#include "lib/volume/tier.h"
#include "lib/watch/command_record.h"
#include "lib/watch/ending.h"
#include "lib/watch/slow_log.h"
#include "lib/watch/snapshot.h"

namespace ballast::scsi {

// Receives the answers.
class FrontEnd {
 public:
  virtual ~FrontEnd() = default;
  // Answers `command`. From then on the command, and all it points to, belong to the front end
  // again. Called once per command.
  virtual void answer(Command& command, Status status) = 0;
  // The LUN has become stalled; `oldest` is the command whose operation has waited for longest. Or
  // it has recovered. Not called after shut(). Called within a turn of the task set, of which only
  // describe() may be called meanwhile.
  virtual void stalled(const watch::CommandRecord& /*oldest*/) {}
  virtual void recovered() {}
};

// Limits that may be changed while commands run.
struct TaskSetLimits : config::Limits {
  Nanoseconds longest_hold{};  // 0: for ever; otherwise not below deadline
  friend bool operator==(const TaskSetLimits&, const TaskSetLimits&) = default;
};

// Deliberate bugs, to check that the tests find them. All are false except in tests.
struct TaskSetSabotage {
  bool no_fences = false;      // nothing waits for an orphan
  bool adopt_flushes = false;  // a flush adopts an older flush
  bool reads_adopt_over_changes = false;
};

class TaskSet : public StatisticsSource {
 public:
  static constexpr std::size_t most_commands = 2048;
  // How long before its deadline a command is asked to end, but at most half the deadline.
  static constexpr Nanoseconds cancel_grace = std::chrono::milliseconds{200};
  // How often a LUN checks whether other LUNs have stalled or recovered, when that matters.
  static constexpr Nanoseconds share_interval = std::chrono::milliseconds{100};
  // While other LUNs are stalled, a LUN counts as stalled after stall_after divided by this.
  static constexpr int sooner = 3;

  TaskSet(Disk& disk, FrontEnd& front_end, io::BufferPool& buffers, watch::SlowLog& slow_log,
          StalledLuns& stalled_luns, const TaskSetLimits& limits,
          const TaskSetSabotage& sabotage = {});
  // Only after drained() has ended.
  ~TaskSet() override;
  TaskSet(const TaskSet&) = delete;
  TaskSet& operator=(const TaskSet&) = delete;

  co::Executor& executor() { return executor_; }

  // Takes `command` over. It is answered before this returns, or later.
  void begin(Command& command);
  // For ABORT TASK, LUN RESET and the like. The unanswered commands for which `meant` returns true
  // are ended early: they are answered within cancel_grace, except those that must be held. Returns
  // how many were ended early. Commands that are held or asked to end already are not counted.
  std::size_t abort(const std::function<bool(const Command&)>& meant);

  // For a LUN whose store belongs to another machine now: ends every unanswered command that needs
  // the store early, held ones too (see CLOSING for their answers). Commands that come later are
  // served as ever.
  void end_all();

  void set_limits(const TaskSetLimits& limits);
  const TaskSetLimits& limits() const { return limits_; }

  // Commands that are not answered yet.
  std::size_t unanswered() const { return unanswered_.count(); }
  std::size_t orphans() const { return orphans_.size(); }
  bool stalled() const { return stalled_[volume::Tier::store] || stalled_[volume::Tier::log]; }
  bool stalled(volume::Tier tier) const { return stalled_[tier]; }
  // Whether the oldest command is kept, because initiators would not believe BUSY for it any more.
  bool holding() const;

  // Returns true once every command is answered, or false at `deadline`.
  co::Task<bool> idle_until(TimePoint deadline) { return unanswered_.drain_until(deadline); }
  // Answers every command that is not answered yet (see CLOSING). From now on begin() answers BUSY.
  // Ends when all are answered, which takes cancel_grace at most.
  co::Task<void> shut();
  // Ends when the last orphan has ended. Call it after shut().
  co::Task<void> drained();

  // For the log pages of the disk. The disk adds the errors.
  Statistics statistics() const override;
  // Fills in counters, histograms, commands in flight, limits and slow commands.
  void describe(const watch::Lists& lists, watch::LunSnapshot* snapshot) const;

 private:
  class Slot;
  friend struct Adoption;
  friend struct Anatomy;
  enum class Reason : std::uint8_t { deadline, stalled, aborted, store_lost, closing };
  using Slots = co::IntrusiveList<Slot>;
  struct AtBackend : co::ListNode<AtBackend> {
    Slot* slot = nullptr;
    TimePoint since{};
    TimePoint in_store{};  // when the patrol last saw it wait for the store, of a LUN with a log
  };
  struct Oldest {
    const AtBackend* operation = nullptr;  // null: there is none
    TimePoint since{};                     // that it waits for the tier
  };

  co::Task<void> serve(Command& outer, const Operation& operation);
  bool take_data_at_once(Slot& slot);
  co::Task<bool> take_data(Slot& slot);
  static void use_buffer(Slot& slot);
  co::Task<void> wait_for_limit(Slot& slot);
  co::Task<void> keep_watch();
  TimePoint patrol();
  void report_slow(TimePoint now, TimePoint* next);

  std::uint64_t& counter_of(Reason reason);
  void end_all(Reason reason);
  void end_early(Slot& slot, Reason reason);
  void hold(Slot& slot);
  bool may_be_repeated(const Slot& slot) const;
  void orphan(Slot& slot);
  void finish(Slot& slot, Status status);
  void answer(Slot& slot, const Command& result, Status status, watch::Because because);
  void count(const Slot& slot, const Command& result, Status status, TimePoint now);
  static void leave_list(Slot& slot);
  static void move_to(Slots& list, Slot& slot);
  void ask_to_end(Slot& slot);

  Slot* find_twin(const Slot& slot);
  bool may_adopt(const Slot& orphan, const Slot& slot);

  void entered_backend(Slot& slot);
  void left_backend(Slot& slot);
  void look_for_stall(TimePoint now, TimePoint* next);
  void note_who_waits_for_store(TimePoint now);
  Oldest oldest_in(volume::Tier tier) const;
  void become_stalled(volume::Tier tier, const Oldest& oldest, TimePoint now);
  void recover(TimePoint now);
  volume::Tier tier_of(const Slot& slot, TimePoint now) const;
  void count_by_tier(TimePoint now);
  std::size_t stuck() const;
  bool may_be_shed(const Slot& slot) const;
  Slot* youngest_to_shed();
  void shed(TimePoint now);
  Nanoseconds stall_after() const;
  std::uint32_t window() const {
    return limits_.stall_window != 0 ? limits_.stall_window : stalled_luns_.share();
  }

  bool believed(TimePoint arrived, TimePoint now) const;
  void note_busy(TimePoint arrived, TimePoint now);
  void look_for_calm(TimePoint now);
  Slot* oldest_of_ours() const;
  void end_late_copies(TimePoint now, TimePoint* next);
  void end_late(TimePoint now, TimePoint* next);
  void end_all_that_wait_for_store(TimePoint now);

  Nanoseconds grace() const { return std::min(cancel_grace, limits_.deadline / 2); }
  // A command that comes from now on does not need the patrol sooner than this.
  Nanoseconds patrol_interval() const {
    return std::min({limits_.slow, limits_.stall_after / sooner, limits_.deadline - grace()});
  }
  void wake_patrol() {
    if (parked_) {
      wake_.set();
    }
  }

  Disk& disk_;
  co::Executor& executor_;
  FrontEnd& front_end_;
  io::BufferPool& buffers_;
  watch::SlowLog& slow_log_;
  StalledLuns& stalled_luns_;
  TaskSetLimits limits_;
  Throttle throttle_;
  const bool has_log_;  // the volume's
  const TaskSetSabotage sabotage_;
  // A slot is in one of these lists until its command has ended. waiting_ is ordered by age; the
  // others are ordered by the time of entry.
  Slots waiting_;  // not answered
  Slots ending_;   // not answered; asked to end
  Slots held_;     // not answered; kept until it ends (4 above)
  Slots orphans_;
  Slots forgotten_;  // answered; nothing is at the backend; the coroutine is about to end
  co::IntrusiveList<AtBackend>
      at_backend_;  // slots with an operation at the backend, in the order in which it began
  std::array<std::uint8_t, sense_size> nobodys_sense_{};  // for commands that are answered already
  TimePoint idle_since_;                                  // if nothing is unanswered
  Nanoseconds idle_{};                                    // before that, all together
  co::Gate unanswered_;                                   // closed by shut()
  volume::PerTier<std::uint32_t> unanswered_in_{};        // the same, by Command::tier
  std::uint64_t numbered_ = 0;
  std::uint64_t mode_epoch_ = 0;  // of the mode pages; nothing is adopted across a change of them
  volume::PerTier<bool> stalled_{};
  volume::PerTier<TimePoint> stalled_since_{};
  std::optional<StalledLuns::Place> stalled_place_;
  bool in_trouble_ = false;
  TimePoint trouble_since_{};  // the oldest arrival of the commands answered BUSY in this trouble
  TimePoint last_busy_{};
  bool said_holding_ = false;
  bool leaving_ = false;
  bool parked_ = false;
  bool said_held_ = false;
  watch::LunCounters counters_;
  watch::Histogram reads_;
  watch::Histogram writes_;
  watch::Histogram others_;
  watch::StageTimes stages_;
  co::Event wake_;  // wakes the patrol
  co::TaskGroup commands_;
  co::TaskGroup patrol_;
};

}  // namespace ballast::scsi
