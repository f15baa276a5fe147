// SPDX-License-Identifier: Apache-2.0
// What the driver of an executor is doing, for a thread that looks on from outside.
//
// The driver writes once a turn and once each time that it enters a coroutine; each write is a
// relaxed store. Any thread may read, at any time and without a lock: so a thread that is stuck
// hides nothing. What is read belongs together only if the driver has been at one thing for a
// while, and that is when it matters.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <optional>

#include "lib/base/thread_id.h"
#include "lib/base/units.h"
#include "lib/co/wait.h"

namespace ballast::co {

class Pulse {
 public:
  struct Reading {
    TimePoint since;         // the turn began, or went on after a sleep
    pid_t thread = 0;        // the driver
    const char* task = "";   // the name of the task that runs; null: no task runs
    Site last_wait{};        // of that task; line 0: it has not waited yet
    bool ends_tick = false;  // no task runs, because the tick hooks do: submissions, answers
  };

  // --- the driver
  void begin_turn(TimePoint now) {
    thread_.store(this_thread_id(), std::memory_order_relaxed);
    since_.store(now.since_start.count(), std::memory_order_relaxed);
  }
  void end_turn() { since_.store(no_turn, std::memory_order_relaxed); }
  void runs(const char* task, Site last_wait) {
    task_.store(task, std::memory_order_relaxed);
    last_wait_.store(last_wait, std::memory_order_relaxed);
  }
  void ends_tick() { task_.store(tick_hooks, std::memory_order_relaxed); }
  void runs_no_task() { task_.store(nullptr, std::memory_order_relaxed); }

  // --- any thread
  // Nothing if no turn is under way, or if the driver went on while this looked.
  std::optional<Reading> read() const {
    const std::int64_t since = since_.load(std::memory_order_relaxed);
    Reading reading{.since = TimePoint{Nanoseconds{since}},
                    .thread = thread_.load(std::memory_order_relaxed),
                    .task = task_.load(std::memory_order_relaxed),
                    .last_wait = last_wait_.load(std::memory_order_relaxed)};
    if (since == no_turn || since_.load(std::memory_order_relaxed) != since) {
      return std::nullopt;
    }
    if (reading.task == tick_hooks) {
      reading.task = nullptr;
      reading.ends_tick = true;
    }
    return reading;
  }

 private:
  friend struct Anatomy;
  static constexpr std::int64_t no_turn = INT64_MIN;
  static constexpr const char tick_hooks[] = "the end of a tick";
  static_assert(std::atomic<Site>::is_always_lock_free);

  std::atomic<std::int64_t> since_{no_turn};
  std::atomic<pid_t> thread_{0};
  std::atomic<const char*> task_{nullptr};
  std::atomic<Site> last_wait_{};
};

}  // namespace ballast::co
