// SPDX-License-Identifier: Apache-2.0
// The task set of one LUN (SAM-5, 4.6.6): every command that came and is not over yet. It answers
// each exactly once, whatever the backend does, and by its deadline as long as BUSY is believed.
//
// A command's way. begin() judges it. What needs no medium is answered at once. The rest becomes a
// task: its data-out is copied to a buffer of our own (so that whatever becomes of the command,
// what the backend reads and writes is never memory that somebody else uses again), the disk
// carries it out, its data-in is copied back, and it is answered.
//
// When its deadline comes, when it is shed, or when task management aborts it:
//   1. nothing of it is at the backend: it is answered BUSY, and nothing of it reaches the backend
//      any more. Always safe.
//   2. something is at the backend: the backend is asked to cancel, and has `cancel_grace` (before
//      the deadline) to do it. Ended without being done: BUSY. Done: that is the answer.
//   3. else it becomes an ORPHAN: it is answered BUSY, and what is at the backend goes on. It keeps
//      its buffer and its range, behind which everything waits that overlaps it, until its last
//      operation has ended. No further operation of it is started.
//   4. A change is orphaned only where the store is exclusively ours (Capabilities::exclusive), and
//      a COMPARE AND WRITE never once its write is at the backend. Such a command is HELD: answered
//      when it ends, however late.
//
// BELIEF. An initiator believes BUSY only for so long. Linux gives up a command that is answered
// BUSY (max_retries + 1) x timeout after it was first issued (scsi_cmd_runtime_exceeced in
// drivers/scsi/scsi_lib.c): 180 s unless somebody changed that. But a command that it has aborted,
// because no answer came, it sends again whatever its age (scmd_eh_abort_handler), up to five times
// with 60 s each. So BUSY is answered for no longer than `busy_for`, counted from the arrival of
// the oldest command that was answered BUSY in this trouble. After that nobody is answered BUSY for
// a deadline or a stall any more: commands are kept, those that come as well, until they are done
// or aborted. (Or until `longest_hold`, where the front end would answer by itself.) The trouble is
// over when the LUN is not stalled, nothing unanswered is past its deadline, and nobody was
// answered BUSY for a whole deadline: whoever was has asked again by then. `busy_for` below
// `deadline` means that nobody is answered BUSY at all.
//
// BUSY and not TASK SET FULL, because after the latter Linux shrinks the LUN's queue depth and
// takes minutes to raise it again.
//
// ADOPTION. A command that says the same as an orphan (the same CDB and, for data-out, the same
// bytes) does no work: it takes over the orphan's result. Only WRITE, WRITE SAME and UNMAP; and
// READ (without FUA) if no overlapping change was under way or has ended since the orphan's read
// began. Where the orphan ends as certainly not done, the adopter does the work itself.
//
// STALL. The LUN is stalled while its oldest operation at the backend, orphans' included, is older
// than `stall_after`; a third of that while other LUNs of the process are stalled (StalledLuns),
// because what those do not hold any more this one would take. A stalled LUN holds at most
// `stall_window` unanswered commands, or its share of the room: the youngest beyond that are
// answered early (as above), and further ones are answered BUSY when they come, both as long as
// BUSY is believed. Shares change as LUNs stall and recover; a LUN looks every `share_interval`.
// The moment nothing is that old any more its full depth is back. Commands that need no medium are
// always answered.
//
// CLOSING. shut() answers everything in bounded time, held commands too. What would have been
// orphaned anyway is answered BUSY. A command that is held because nobody may repeat it, and that
// the backend cannot end, is answered CHECK CONDITION, HARDWARE ERROR, INTERNAL TARGET FAILURE,
// which initiators report and do not repeat: what became of it is unknown. After BUSY a COMPARE AND
// WRITE would miscompare with what it has written itself; and a WRITE to a store that is not locked
// would be repeated through another target, or the next daemon, acknowledged there, and written
// over when the first one lands.
//
// Bounds. `most_commands` at once; further ones are answered TASK SET FULL. Data of all of them,
// orphans included, is within the buffer pool; orphans are no more than the volume's queue_depth.
//
// Time. All commands of a LUN have the same deadline, so they expire in the order of coming: one
// list, and one timer that a single task (the patrol) sleeps on. A command costs no timer.
//
// Driving thread of the disk's executor only. No heap allocation per command in steady state. The
// disk and the front end outlive it.
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
#include "lib/scsi/opcode_table.h"
#include "lib/scsi/stalled_luns.h"
#include "lib/volume/request.h"
#include "lib/watch/command_record.h"
#include "lib/watch/ending.h"
#include "lib/watch/slow_log.h"
#include "lib/watch/snapshot.h"

namespace ballast::scsi {

// Where answers go.
class FrontEnd {
 public:
  virtual ~FrontEnd() = default;
  // Answers `command`, which, with all it points to, is the front end's again. Once per command.
  virtual void answer(Command& command, Status status) = 0;
};

// What may be changed while commands run.
struct TaskSetLimits : config::Limits {
  Nanoseconds longest_hold{};  // 0: for ever; otherwise not below deadline
  friend bool operator==(const TaskSetLimits&, const TaskSetLimits&) = default;
};

// Bugs on purpose, to see that the tests find them. All false but in tests.
struct TaskSetSabotage {
  bool no_fences = false;      // nothing waits for an orphan
  bool adopt_flushes = false;  // a flush takes over an older one
  bool reads_adopt_over_changes = false;
};

class TaskSet {
 public:
  static constexpr std::size_t most_commands = 2048;
  // How long before its deadline a command is asked to end. (Half the deadline where that is less.)
  static constexpr Nanoseconds cancel_grace = std::chrono::milliseconds{200};
  // How often it is looked whether other LUNs have stalled or recovered, where that matters.
  static constexpr Nanoseconds share_interval = std::chrono::milliseconds{100};
  // While others are stalled a LUN counts as stalled after this part of stall_after.
  static constexpr int sooner = 3;

  TaskSet(Disk& disk, FrontEnd& front_end, io::BufferPool& buffers, watch::SlowLog& slow_log,
          StalledLuns& stalled_luns, const TaskSetLimits& limits,
          const TaskSetSabotage& sabotage = {});
  // After drained() has ended.
  ~TaskSet();
  TaskSet(const TaskSet&) = delete;
  TaskSet& operator=(const TaskSet&) = delete;

  co::Executor& executor() { return executor_; }

  // Takes `command` over; it has been answered when this returns, or will be.
  void begin(Command& command);
  // ABORT TASK, LUN RESET and their kin: the unanswered commands that are `meant` are answered as
  // if their deadline had come, within cancel_grace. (Those that are held stay so.) Returns how
  // many.
  std::size_t abort(const std::function<bool(const Command&)>& meant);

  void set_limits(const TaskSetLimits& limits);
  const TaskSetLimits& limits() const { return limits_; }

  // Commands not answered yet; orphans.
  std::size_t unanswered() const { return unanswered_.count(); }
  std::size_t orphans() const { return orphans_.size(); }
  bool stalled() const { return stalled_; }
  // BUSY for the oldest command would not be believed any more: commands are kept.
  bool holding() const;

  // Ends once every command is answered: true; or else at `deadline`.
  co::Task<bool> idle_until(TimePoint deadline) { return unanswered_.drain_until(deadline); }
  // Answers everything that is not answered yet (CLOSING above), and whatever begin() is given from
  // now on with BUSY. Returns when all is answered, which takes no longer than cancel_grace.
  co::Task<void> shut();
  // Ends when the last orphan has. After shut().
  co::Task<void> drained();

  // Fills in what the task set knows: counters, histograms, commands in flight, limits, slow ones.
  void describe(const watch::Lists& lists, watch::LunSnapshot* snapshot) const;

 private:
  class Slot;
  friend struct Adoption;
  enum class Reason : std::uint8_t { deadline, stalled, aborted, closing };
  using Slots = co::IntrusiveList<Slot>;

  co::Task<void> serve(Command& outer, const Operation& operation);
  bool take_data_at_once(Slot& slot);
  co::Task<bool> take_data(Slot& slot);
  static void use_buffer(Slot& slot);
  co::Task<void> keep_watch();
  TimePoint patrol();
  void report_slow(TimePoint now, TimePoint* next);

  std::uint64_t& counter_of(Reason reason);
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
  void become_stalled(TimePoint now);
  void recover(TimePoint now);
  void shed(TimePoint now);
  Nanoseconds stall_after() const;
  std::uint32_t window() const {
    return limits_.stall_window != 0 ? limits_.stall_window : stalled_luns_.share();
  }

  bool believed(TimePoint arrived, TimePoint now) const;
  void note_busy(TimePoint arrived, TimePoint now);
  void look_for_calm(TimePoint now);
  void end_late(TimePoint now, TimePoint* next);

  Nanoseconds grace() const { return std::min(cancel_grace, limits_.deadline / 2); }
  // Nothing that comes from now on needs the patrol sooner.
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
  const TaskSetSabotage sabotage_;
  // Each slot is in one of these; by age, but for orphans_ and ending_, which are by when they got
  // there.
  Slots waiting_;  // not answered
  Slots ending_;   // not answered; asked to end
  Slots held_;     // not answered, past its deadline
  Slots orphans_;
  Slots forgotten_;  // answered; nothing at the backend; on its way out
  struct AtBackend : co::ListNode<AtBackend> {
    Slot* slot = nullptr;
    TimePoint since{};
  };
  co::IntrusiveList<AtBackend>
      at_backend_;  // slots with something at the backend, by when it began
  std::array<std::uint8_t, sense_size> nobodys_sense_{};  // of commands that are answered already
  co::Gate unanswered_;                                   // closed once shut
  std::uint64_t numbered_ = 0;
  std::uint64_t mode_epoch_ = 0;  // of mode pages: across a change nothing is adopted
  bool stalled_ = false;
  TimePoint stalled_since_{};
  std::optional<StalledLuns::Place> stalled_place_;
  bool in_trouble_ = false;
  TimePoint trouble_since_{};  // the oldest arrival of what was answered BUSY in it
  TimePoint last_busy_{};
  bool said_holding_ = false;
  bool leaving_ = false;
  bool parked_ = false;
  bool said_held_ = false;
  watch::LunCounters counters_;
  watch::Histogram reads_;
  watch::Histogram writes_;
  watch::Histogram others_;
  co::Event wake_;  // of the patrol
  co::TaskGroup commands_;
  co::TaskGroup patrol_;
};

}  // namespace ballast::scsi
