// SPDX-License-Identifier: Apache-2.0
// The executor of one LUN: a run queue, timers, a mailbox, and the pools behind them.
//
// One thread at a time drives it: the one that holds the baton (lib/io/loop.h). So nothing above it
// needs a lock, and nothing here is thread-local. A wake never runs a coroutine inline: it queues
// the coroutine, and tick() runs it. Call everything from the driving thread, unless its comment
// says otherwise.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/co/arena.h"
#include "lib/co/clock.h"
#include "lib/co/frame_pool.h"
#include "lib/co/mailbox.h"
#include "lib/co/pulse.h"
#include "lib/co/registry.h"
#include "lib/co/timer.h"
#include "lib/co/wait.h"

namespace ballast::co {

struct PromiseBase;
class Landmark;

// Called once at the end of every tick, for example to submit a batch or to ring the doorbell.
class TickHook {
 public:
  virtual ~TickHook() = default;
  virtual void tick_end() = 0;
};

// Chooses which of the ready coroutines runs next. The default is first come, first served. A
// simulation chooses at random.
class ReadyOrder {
 public:
  virtual ~ReadyOrder() = default;
  virtual std::size_t pick(std::size_t ready_count) = 0;  // in [0, ready_count)
};

struct ExecutorStats {
  std::uint64_t resumes = 0;        // coroutines entered
  std::uint64_t ticks = 0;          // batches run
  std::uint64_t refused_wakes = 0;  // second or late wakes; each was reported
  std::size_t live_waits = 0;       // records armed or queued now
  std::size_t live_waits_peak = 0;
};

// Describes a refused wake to the reporter. The story of the wait that it was meant for is known
// until its slot has served another wait and begins a third.
struct RefusedWake {
  const char* what;      // what that wait was for; null if its story is forgotten
  Site wait_site;        // where it was awaited
  Site first_wake;       // the first wake; line 0 if the wait ended without one
  Site second_wake;      // the wake that was refused
  bool slot_reused;      // the slot has served another wait since
  const char* now_what;  // what the slot serves now; null if nothing
  Site now_wait_site;
};
using RefusedWakeReporter = void (*)(void* context, const RefusedWake& refused);

class Executor {
 public:
  // `name` is the LUN's, for logs. `clock` outlives the executor.
  Executor(const char* name, const Clock& clock);
  // Asserts that no task lives: the code that made tasks ends them first.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Call it after construction. Returns the resource that the executor could not get, in words;
  // then the executor may only be destroyed. Returns null if the executor works.
  const char* lacks() const;

  Executor& executor() { return *this; }
  const char* name() const { return name_; }

  // Within a turn or a tick: the time at its start, or as last refreshed. This reads no clock,
  // because that is a system call on machines without a usable TSC. Otherwise: the clock's time,
  // because the last tick may be hours ago.
  TimePoint now() const { return running_ || in_turn_ ? now_ : clock_.now(); }

  // A turn is the work of a driver between two sleeps, and counts as one moment. begin_turn()
  // begins a turn, or continues one after a sleep. It reads the clock once. The next tick uses that
  // reading; later ticks read the clock again.
  void begin_turn() {
    now_ = clock_.now();
    in_turn_ = true;
    now_is_fresh_ = true;
    pulse_.begin_turn(now_);
  }
  void end_turn() {
    pulse_.end_turn();
    in_turn_ = false;
    now_is_fresh_ = false;
  }

  // Runs one batch. It reads the clock (but see begin_turn), runs the messages of the mailbox,
  // fires due timers, runs ready coroutines (and those that become ready meanwhile, up to a bound),
  // then calls the tick hooks. Returns whether anything ran.
  bool tick();

  // Whether nothing is queued and the mailbox is empty. Driving thread.
  bool idle() const { return ready_count_ == 0 && mailbox_.empty(); }
  // When the next timer is due; Timers::never if none is armed.
  TimePoint next_timer() const { return timers_.next(); }

  void add_tick_hook(TickHook& hook) { hooks_.push_back(&hook); }
  void remove_tick_hook(TickHook& hook);  // not from a tick hook
  void set_ready_order(ReadyOrder* order) { order_ = order; }
  void set_refused_wake_reporter(RefusedWakeReporter reporter, void* context);

  // Runs `message` on the executor, from any thread. See mailbox.h for the bound.
  void post(const Message& message) { mailbox_.push(message); }
  Mailbox& mailbox() { return mailbox_; }

  // Check memory().is_short() before you begin new work (arena.h).
  Arena& memory() { return memory_; }
  FramePool& frames() { return frames_; }
  Timers& timers() { return timers_; }
  Registry& registry() { return registry_; }
  const Registry& registry() const { return registry_; }
  const ExecutorStats& stats() const { return stats_; }
  const Pulse& pulse() const { return pulse_; }  // any thread

  // How many coroutines one tick enters before completions, timers and the mailbox get their turn.
  static constexpr std::uint64_t resumes_per_tick = 4096;
  // How many steps one chain of calls and returns makes before the other ready coroutines run.
  static constexpr std::uint64_t transfers_per_run = 1024;

 private:
  friend class Wait;
  friend class Waker;
  friend struct PromiseBase;
  template <class T>
  friend class Task;
  friend class TaskGroup;
  friend class Landmark;
  friend struct Anatomy;

  WaitRecord* acquire_record();
  void release_record(WaitRecord* record);
  bool wake(WaitRecord* record, std::uint64_t generation, std::int64_t value, Site site);
  void refuse(const WaitRecord* record, std::uint64_t generation, Site site);
  void enqueue(WaitRecord* record);
  WaitRecord* dequeue();
  void run(std::coroutine_handle<> handle);
  void run_message(const Message& message);
  static void log_refused_wake(void* executor, const RefusedWake& refused);

  // The running coroutine says where to go on: in a child that it awaits, or in the parent that it
  // returns to. run() goes there next, so no chain of synchronous completions grows the stack.
  void transfer_to(std::coroutine_handle<> next) { transfer_ = next; }
  void start_soon(std::coroutine_handle<> handle, TaskInfo* task);
  void finish(PromiseBase* promise) { finished_ = promise; }

  const char* name_;
  const Clock& clock_;
  TimePoint now_;
  Arena memory_;  // outlives everything below
  FramePool frames_{memory_};
  WaitRecord* free_records_ = nullptr;
  WaitRecord* ready_head_ = nullptr;
  WaitRecord** ready_tail_ = &ready_head_;
  std::size_t ready_count_ = 0;
  std::coroutine_handle<> transfer_{};
  PromiseBase* finished_ = nullptr;
  bool running_ = false;
  bool in_turn_ = false;
  bool now_is_fresh_ = false;
  bool in_hooks_ = false;
  Pulse pulse_;
  Timers timers_;
  Mailbox mailbox_;
  Registry registry_{memory_};
  std::vector<TickHook*> hooks_;
  ReadyOrder* order_ = nullptr;
  RefusedWakeReporter reporter_ = nullptr;
  void* reporter_context_ = nullptr;
  ExecutorStats stats_;
  // For whoever looks at a core file (anatomy.h).
  Landmark* landmarks_ = nullptr;
  Executor* next_live_ = nullptr;
  Executor** live_link_ = nullptr;
};

}  // namespace ballast::co
