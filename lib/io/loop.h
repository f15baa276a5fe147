// SPDX-License-Identifier: Apache-2.0
// Loop: the threads that drive a LUN's executor, and how they sleep.
//
// Two threads take turns: the daemon's command thread, which calls drive() or linger() when
// commands have come, so that what can finish at once finishes without a change of threads; and the
// reactor thread, which belongs to the Loop and drives when something happens while nobody else
// does. Waking another thread costs more than the work it is woken for. So a thread that lingers
// asks the ring for completions for a few microseconds where that pays (PollWorth), sleeps then,
// and is woken itself by what comes; giving the baton back is a few stores. lib/io/baton.h has the
// protocol, and why no wake is lost.
//
// Threads: start, stop and run_until from whoever owns the LUN, one at a time; drive and linger
// from any thread but the reactor, never from inside a task.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

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
  limit,     // time is over, or somebody else asks for the baton
  busy,      // another thread drives: not lingered at all (a message given was posted)
};

struct LoopStats {
  std::uint64_t drives = 0;  // turns with the baton, both threads
  std::uint64_t rounds = 0;  // ticks within them
  std::uint64_t lingers = 0;
  std::uint64_t linger_sleeps = 0;  // sleeps in poll(2) while lingering
  std::uint64_t polls = 0;          // times it asked for completions before that
  std::uint64_t poll_hits = 0;      // and found some
  std::uint64_t reactor_wakes = 0;  // times the reactor thread came out of its sleep
  std::uint64_t reactor_kicks = 0;  // times it was woken by who gave the baton back
  std::uint64_t contended = 0;      // drive or linger found the baton taken
};

class Loop {
 public:
  // How long a lingerer polls before it sleeps.
  static constexpr Nanoseconds poll_limit = std::chrono::microseconds{25};
  // With more than these in flight it sleeps at once: the wake is shared by many then, and answers
  // and submissions in larger batches are worth more than early ones.
  static constexpr std::size_t poll_most = 16;
  // The reactor never sleeps longer while tasks live: a net below the argument above. A test takes
  // it away (Nanoseconds::max()), so that a lost wake is one.
  static constexpr Nanoseconds default_longest_sleep = std::chrono::seconds{1};
  // How soon a refused submission is tried again.
  static constexpr Nanoseconds submit_retry = std::chrono::milliseconds{1};
  // Ticks in one turn. What is left then goes to the reactor, so that no caller is kept for ever.
  static constexpr unsigned rounds_per_turn = 64;

  // `ring` may be null. Both outlive the Loop. `clock` is the executor's; it must be monotonic real
  // time.
  Loop(co::Executor& executor, const co::Clock& clock, Uring* ring,
       Nanoseconds longest_sleep = default_longest_sleep);
  // Stops.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  co::Executor& executor() { return executor_; }

  // Starts the reactor thread, with all signals blocked, named "ballast/<executor's name>" cut to
  // 15 characters.
  Result<void> start();
  // Ends it; waits for that. What is posted afterwards runs when somebody calls drive() or
  // run_until(). Nothing happens if it is not running.
  void stop();

  // Takes the baton if it is free, runs `first` (if given), then whatever is ready, until nothing
  // is, gives the baton back, and returns true. When the baton is taken: posts `first` and returns
  // false; the holder, or the reactor after it, will run it. Never blocks.
  bool drive(const co::Message* first = nullptr);

  // As drive(), then stays while operations are under way and drives as they complete, on this
  // thread, so that a completion needs no change of threads. Returns when `command_fd` (-1: none)
  // is readable, when nothing is under way, or after `limit`, whichever is first. Everything left
  // is the reactor's from then on. The caller lingers when it has nothing better to do: the
  // daemon's command thread, before it goes back to wait for commands.
  LingerEnd linger(int command_fd, Nanoseconds limit, const co::Message* first = nullptr);

  // What "under way" means besides the ring's operations, e.g. requests a library has. Asked with
  // the baton held. Set before start().
  using UnderWay = bool (*)(void* context);
  void set_under_way(UnderWay asks, void* context);

  // Blocks the calling thread and drives (and sleeps, as a lingerer) until done(context), which is
  // asked with the baton held. For opening and closing a LUN. Works with or without the reactor.
  void run_until(bool (*done)(void* context), void* context);

  // A copy, taken without the baton: for people.
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
  bool linger_sleep(int command_fd, TimePoint until);
  bool poll_briefly();
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
  PollWorth poll_worth_;  // the holder's
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
