// SPDX-License-Identifier: Apache-2.0
// An initiator: keeps some commands outstanding on a small LUN, so that they overlap all the time,
// and does what initiators do with BUSY and TASK SET FULL: the same again after a while, or
// nothing, or something that is almost the same.
//
// All initiators of a run share one Neighbourhood: what they believe the blocks to hold (COMPARE
// AND WRITE and VERIFY mostly succeed), and the numbers of data not written yet. One coroutine for
// each command that may be outstanding.
#pragma once

#include <array>
#include <cstdint>

#include "lib/co/cancel.h"
#include "lib/co/sim_executor.h"
#include "lib/co/task_group.h"
#include "tests/sim/lun.h"

namespace ballast::sim {

struct Neighbourhood {
  std::array<Content, most_blocks> belief{};
  std::uint32_t last_data = 0;
};

// Chances are per mille.
struct Habits {
  std::size_t depth = 4;           // commands outstanding
  Nanoseconds longest_think{};     // between two commands
  Nanoseconds longest_patience{};  // before a retry
  unsigned give_up = 100;
  unsigned alter = 200;              // a retry that is not quite the same
  std::uint32_t largest = 8;         // blocks of a usual command
  std::uint32_t span = most_blocks;  // of the first blocks, where commands begin
  unsigned changes = 500;            // of all commands
};

class Initiator {
 public:
  Initiator(Lun& lun, Neighbourhood& neighbourhood, std::uint64_t seed, const Habits& habits);

  void start();
  // Each command outstanding is the last of its coroutine; nothing is retried.
  void stop() { stop_.request(); }
  bool stopped() const { return group_.live() == 0; }

  // The other way to use one: `count` commands, one after the other, on a LUN that works. Complains
  // of each that is turned away. Ends when stopped().
  void start_calm(std::size_t count);

 private:
  static co::Task<void> work(co::Executor& executor, Initiator* self);
  static co::Task<void> work_calmly(co::Executor& executor, Initiator* self, std::size_t count);
  // Whether to send `wish`, which may be another one now, again.
  bool again(const Issued& command, Wish* wish);
  void learn(const Issued& command);
  Wish draw();
  Wish draw_change(Range range);
  Wish draw_unmap(Range range);
  Wish draw_expecting(Range range);
  Range draw_range();
  void alter(Wish* wish);
  Nanoseconds draw_time(Nanoseconds longest);
  std::uint32_t new_data() { return ++neighbourhood_.last_data; }

  Lun& lun_;
  Neighbourhood& neighbourhood_;
  co::Random random_;
  const Habits habits_;
  co::CancelSource stop_;
  co::TaskGroup group_;
};

}  // namespace ballast::sim
