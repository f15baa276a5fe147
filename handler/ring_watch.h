// SPDX-License-Identifier: Apache-2.0
// RingWatch: whether and for how long the cmdproc thread watches the ring itself.
//
// When nothing is under way any more, the cmdproc thread goes back to the daemon, which sleeps
// until the kernel's next event. To be woken takes longer than most commands do. So the thread
// watches the ring before it goes back, and polls for completions longer than it does otherwise,
// where that is faster (io::PollTrial).
//
// What bounds it: the next command must be likely to come within longest_watch, as it did before.
// What is watched in vain comes out of a budget (io::PollBudget): one that all LUNs share if "poll"
// is auto, else the LUN's own.
// Half of the processors watch at most, for however many LUNs.
//
// Threads: the cmdproc thread, but for set_share().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/base/units.h"
#include "lib/io/poll_budget.h"
#include "lib/io/poll_trial.h"

namespace ballast::handler {

class RingWatch {
 public:
  static constexpr Nanoseconds longest_watch = std::chrono::milliseconds{2};
  // How long the thread polls for completions while it watches.
  static constexpr Nanoseconds completion_limit = std::chrono::microseconds{100};

  // One batch of commands, from its beginning until the thread goes back to the daemon.
  class Turn {
   public:
    explicit Turn(bool watches) : watches_{watches} {}
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    bool watches() const { return watches_; }

   private:
    const bool watches_;
  };

  explicit RingWatch(std::uint32_t poll) : poll_{poll} {}

  // The key "poll" (lun::LunConfig). Any thread.
  void set_poll(std::uint32_t poll) { poll_.store(poll, std::memory_order_relaxed); }

  // Commands have come at `now`, and the thread does not stay with them.
  void came(std::size_t commands, TimePoint now);
  // The last of a batch has come. The thread may watch in this turn.
  Turn begin(std::size_t commands, TimePoint now);

  // Nothing is under way at `now`. How long to watch the ring; 0: not at all.
  Nanoseconds window(TimePoint now);
  // What the thread polled for did not come.
  void in_vain(Nanoseconds spent, TimePoint now);
  // While it polled it did not run for a while. If another thread had its processor, then there are
  // too few of them for watching: a thread that polls uses up its share, and has to wait longer
  // when there is something to do than one that has slept. No measurement of a few milliseconds
  // shows this.
  void was_interrupted();

 private:
  struct Allowance {
    io::PollBudget& budget;
    unsigned percent;
  };
  Allowance allowance();

  std::atomic<std::uint32_t> poll_;
  io::PollTrial trial_;
  std::int64_t preemptions_ = 0;  // of this thread, as the kernel counts them
  io::PollBudget budget_;         // unless poll is auto
  TimePoint idle_since_{};        // {}: commands are under way
  Nanoseconds gap_{};             // from there to the next command, on average
};

}  // namespace ballast::handler
