// SPDX-License-Identifier: Apache-2.0
// Watchdog: notices threads of LUNs that do not go on, says so, and answers for such a LUN.
//
// A LUN's thread must never wait for long. If it does all the same, because of a bug or because the
// kernel makes it sleep, the LUN answers nobody, nor ballastctl. So one thread of the process looks
// at all LUNs from outside every two seconds. It reads what the drivers publish (lib/co/pulse.h)
// and what the kernel says (thread_state.h), and takes no lock that a LUN's thread may hold. It
// finds
//
//   - a driver that has not ended its turn, nor begun to sleep in it, for `patience`;
//   - a LUN's command thread that the kernel keeps in an unkillable sleep (state D) for `patience`
//     while it does not drive.
//
// Each is logged once, and again when it goes on.
//
// The service manager's watchdog (service_watchdog.h). If the unit sets WatchdogSec, the same
// thread feeds it, with LUNs and without. It stops feeding only if a driver is stuck and the
// daemon can be ended. While any thread of the process sleeps unkillably, a daemon that is killed
// stays until its storage answers, and a new daemon cannot take its LUNs over. So then it goes on
// feeding: the other LUNs are worth more.
//
// Threads: any, except where a comment says otherwise.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/units.h"
#include "lib/co/clock.h"
#include "lib/co/executor.h"
#include "lib/watch/service_watchdog.h"
#include "lib/watch/stuck.h"
#include "lib/watch/thread_state.h"

namespace ballast::watch {

class Watchdog {
 public:
  static constexpr Nanoseconds patience = std::chrono::seconds{5};
  static constexpr Nanoseconds interval = std::chrono::seconds{2};

  // One LUN, watched from construction to destruction.
  class Lun {
   public:
    // `name` and `executor`, which runs by CLOCK_MONOTONIC or by the watchdog's clock, outlive it.
    Lun(Watchdog& watchdog, const std::string& name, const co::Executor& executor);
    ~Lun();
    Lun(const Lun&) = delete;
    Lun& operator=(const Lun&) = delete;

    void command_thread_is(pid_t thread) {
      command_thread_.store(thread, std::memory_order_relaxed);
    }
    // The thread that keeps this LUN from going on, if it has done so for `at_least`.
    std::optional<StuckThread> stuck(Nanoseconds at_least) const;
    // How often one of its threads was stuck for `patience`.
    std::uint64_t times_stuck() const { return times_.load(std::memory_order_relaxed); }

   private:
    friend class Watchdog;
    // What was logged and has not gone on yet.
    struct Case {
      pid_t thread = 0;  // 0: none
      TimePoint since;
    };
    void look(TimePoint now);
    void look_at_driver(TimePoint now);
    void look_at_command_thread(TimePoint now);
    bool driver_is_stuck() const { return driver_.thread != 0; }
    void begin(Case& of, const StuckThread& stuck, TimePoint since);
    void end(Case& of, TimePoint now);
    std::optional<StuckThread> stuck_driver(TimePoint now) const;
    StuckThread stuck_command_thread(TimePoint now) const;

    Watchdog& watchdog_;
    const std::string& name_;
    const co::Pulse& pulse_;
    std::atomic<pid_t> command_thread_{0};
    std::atomic<std::uint64_t> times_{0};
    // Guarded by the watchdog's mutex.
    Case driver_;
    Case command_;
    TimePoint unkillable_since_{};           // the command thread, if…
    std::optional<std::uint64_t> switches_;  // …it was in state D at the last look
  };

  explicit Watchdog(const co::Clock& clock) : clock_{clock} {}
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Starts the thread, with all signals blocked, named "ballast/watch". It rests while there is
  // neither a LUN nor a service watchdog. It runs for ever, so the Watchdog is never destroyed.
  // Returns false if the thread cannot be made. Once.
  bool start(std::optional<ServiceWatchdog> service);

  // What the thread does every two seconds: one look at all LUNs. For tests, which own the clock.
  void look();
  // Whether the service watchdog may be fed after the last look.
  bool may_feed();

 private:
  static void* entry(void* self);
  [[noreturn]] void run();
  void feed();

  const co::Clock& clock_;
  std::optional<ServiceWatchdog> service_;
  int feed_error_ = 0;  // an errno, as logged; the thread's own
  std::mutex mutex_;    // guards what follows; held for one look at most
  std::condition_variable changed_;
  std::vector<Lun*> luns_;
  UnkillableThreads unkillable_;
  bool withheld_ = false;          // as logged
  bool fed_all_the_same_ = false;  // as logged
};

}  // namespace ballast::watch
