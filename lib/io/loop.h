// SPDX-License-Identifier: Apache-2.0
// Loop: the threads that drive a LUN's executor, and how they sleep.
//
// Two threads take turns. The daemon's command thread calls drive() or linger() when commands have
// come, so a command that can finish at once finishes without a change of threads. The reactor
// thread belongs to the Loop, and drives when something happens while no other thread drives.
// Waking another thread costs more than the work that it is woken for. So a thread that lingers
// polls the ring for completions for a few microseconds, where that pays (PollWorth), and then
// sleeps; messages, completions and timers wake it directly. Giving the baton back takes a few
// stores. lib/io/baton.h has the protocol, and says why no wake is lost.
//
// Threads: the owner of the LUN calls start, stop and run_until, one at a time. Any thread but the
// reactor may call drive and linger, never from inside a task.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <utility>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/executor.h"
#include "lib/io/baton.h"
#include "lib/io/poll_worth.h"
#include "lib/io/uring.h"

namespace ballast::io {

enum class LingerEnd : std::uint8_t {
  commands,  // the command descriptor is readable; nothing was read from it
  idle,      // nothing is under way
  limit,     // time is over, or another thread asks for the baton
  busy,      // another thread drives, so it did not linger (`first`, if given, was posted)
};

// Where a lingerer's commands come from, and how it waits for them.
struct CommandSource {
  // How long a lingerer polls before it sleeps, unless its caller has reasons for more.
  static constexpr Nanoseconds usual_poll_limit = std::chrono::microseconds{25};

  int fd = -1;  // readable: commands may have come; -1: there are none
  // Whether a command waits. A lingerer that polls calls it often. Null: it does not poll for
  // commands, for completions only.
  bool (*waiting)(void* context) = nullptr;
  void* context = nullptr;
  Nanoseconds poll_limit = usual_poll_limit;
};

struct LoopStats {
  std::uint64_t drives = 0;  // turns with the baton, both threads
  std::uint64_t rounds = 0;  // ticks within them
  std::uint64_t lingers = 0;
  std::uint64_t linger_sleeps = 0;  // sleeps in poll(2) while lingering
  std::uint64_t polls = 0;          // times a lingerer polled the ring before such a sleep
  std::uint64_t poll_hits = 0;      // polls that found completions
  std::uint64_t reactor_wakes = 0;  // times the reactor thread came out of its sleep
  std::uint64_t reactor_kicks = 0;  // times a thread that gave the baton back woke it
  std::uint64_t contended = 0;      // drive or linger found the baton taken
};

class Loop {
 public:
  // A poll that ends this much too late was interrupted: another thread had the processor.
  static constexpr Nanoseconds poll_overrun = std::chrono::microseconds{500};
  // With more than these in flight a lingerer sleeps at once. One wake then serves many
  // completions, and larger batches of answers and submissions are worth more than early ones.
  static constexpr std::size_t poll_most = 16;
  // While tasks live, the reactor never sleeps longer than this. It is a safety net, in case a wake
  // is lost after all. A test takes it away (Nanoseconds::max()), so that it notices a lost wake.
  static constexpr Nanoseconds default_longest_sleep = std::chrono::seconds{2};
  // How soon a refused submission is tried again.
  static constexpr Nanoseconds submit_retry = std::chrono::milliseconds{1};
  // Ticks in one turn. The reactor runs what is left then, so that no caller is kept for ever.
  static constexpr unsigned rounds_per_turn = 64;

  // `ring` may be null. Both outlive the Loop. `clock` is the executor's; it must be monotonic real
  // time.
  Loop(co::Executor& executor, const co::Clock& clock, Uring* ring,
       Nanoseconds longest_sleep = default_longest_sleep);
  // Calls stop().
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  co::Executor& executor() { return executor_; }

  // Starts the reactor thread, with all signals blocked, named "ballast/<executor's name>" cut to
  // 15 characters.
  Result<void> start();
  // Ends the reactor thread and waits for its end; does nothing if it is not running. Messages that
  // are posted afterwards run when a thread calls drive() or run_until().
  void stop();

  // If the baton is free: takes it, runs `first` (if given), runs whatever is ready until nothing
  // is, gives the baton back, and returns true. If the baton is taken: posts `first` and returns
  // false; the holder runs it, or the reactor afterwards. Never blocks.
  bool drive(const co::Message* first = nullptr);

  // As drive(), then stays while operations are under way. The calling thread drives as they
  // complete, so a completion needs no change of threads. Returns when commands have come, when
  // nothing is under way, or after `limit`, whichever is first. The reactor handles everything left
  // from then on. A caller lingers when it has nothing better to do: the daemon's command thread
  // does so before it goes back to wait for commands.
  LingerEnd linger(const CommandSource& commands, Nanoseconds limit,
                   const co::Message* first = nullptr);

  // What has come of polling since the last call. By the thread that lingers.
  struct Polled {
    Nanoseconds in_vain{};  // without finding anything
    bool overran = false;   // a poll took much longer than its limit: the thread did not run
  };
  Polled take_polled() { return std::exchange(polled_, Polled{}); }

  // Adds to what counts as under way besides the ring's operations, for example a library's
  // requests. `asks` is called with the baton held. Set it before start().
  using UnderWay = bool (*)(void* context);
  void set_under_way(UnderWay asks, void* context);

  // Blocks the calling thread, which drives (and sleeps, as a lingerer) until done(context) returns
  // true. done is called with the baton held. For opening and closing a LUN. Works with or without
  // the reactor.
  void run_until(bool (*done)(void* context), void* context);

  // A copy, read without the baton. The counters may not fit together exactly: they are for people.
  LoopStats stats() const;

 private:
  friend Baton;
  // The baton calls these.
  bool wake_reactor_for_messages();
  void wake_reactor_for_completions();
  void count_as_awake();
  bool has_work() const;
  void drive_rounds(unsigned& rounds);
  TimePoint reactor_due() const;
  void end_turn() { executor_.end_turn(); }
  void kick_reactor();

  void take();
  bool prepare_linger();
  bool under_way() const;
  bool post_if_given(const co::Message* first);
  void begin_turn(const co::Message* first);
  bool linger_sleep(const CommandSource& commands, TimePoint until);
  bool poll_briefly(const CommandSource& commands);
  TimePoint net(TimePoint now) const;
  TimePoint reactor_turn(bool was_idle);
  void reactor();
  static void* entry(void* self);

  co::Executor& executor_;
  const co::Clock& clock_;
  Uring* ring_;
  const Nanoseconds longest_sleep_;
  UnderWay under_way_ = nullptr;
  void* under_way_context_ = nullptr;
  PollWorth poll_worth_;  // only the holder uses it
  Polled polled_;
  Baton baton_;
  std::atomic<bool> stopping_{false};
  bool running_ = false;
  pthread_t thread_{};

  struct Counters {
    std::atomic<std::uint64_t> drives{0}, rounds{0}, lingers{0}, linger_sleeps{0}, polls{0},
        poll_hits{0}, reactor_wakes{0}, reactor_kicks{0}, contended{0};
  };
  Counters counters_;
};

}  // namespace ballast::io
