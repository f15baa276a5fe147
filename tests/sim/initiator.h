// SPDX-License-Identifier: Apache-2.0
// Initiator: keeps some commands outstanding on a small LUN, so that they overlap all the time. It
// reacts to BUSY and TASK SET FULL as initiators do: it sends the command again after a while, or
// gives up, or sends a command that is almost the same.
//
// All initiators of a run share one Neighbourhood. It holds the contents that they expect in the
// blocks, so that COMPARE AND WRITE and VERIFY mostly succeed, and the numbers of data that is not
// written yet. There is one coroutine for each command that may be outstanding.
#pragma once

#include <array>
#include <cstdint>

#include "lib/co/cancel.h"
#include "lib/co/sim_executor.h"
#include "lib/co/task_group.h"
#include "tests/sim/lun.h"

namespace ballast::sim {

// Blocks that are written once, before anything else happens, and are safe then. They are what
// EXTENDED COPY copies, because its data is known. No other command begins there.
inline constexpr Range library{0, 8};

struct Neighbourhood {
  std::array<Content, most_blocks> belief{};
  std::uint32_t last_data = 0;
  std::uint32_t library_data = 0;  // what the library has
  // START STOP UNIT: one at a time is outstanding, so that it is known what came of it.
  bool is_starting_or_stopping = false;
  bool stopped = false;
};

// Chances are per mille.
struct Habits {
  std::size_t depth = 4;           // commands outstanding
  Nanoseconds longest_think{};     // between two commands
  Nanoseconds longest_patience{};  // before a retry
  unsigned give_up = 100;
  unsigned alter = 200;              // chance that a retry differs a little
  std::uint32_t largest = 8;         // blocks of a usual command
  std::uint32_t span = most_blocks;  // commands begin in this many first blocks
  unsigned changes = 500;            // chance that a command is a change
  unsigned stops = 0;                // chance that a command is START STOP UNIT
};

class Initiator {
 public:
  Initiator(Lun& lun, Neighbourhood& neighbourhood, std::uint64_t seed, const Habits& habits);

  void start();
  // Ends every coroutine after its outstanding command; nothing is retried.
  void stop() { stop_.request(); }
  bool stopped() const { return group_.live() == 0; }

  // The other way to use an initiator: sends `count` commands, one after the other, to a LUN that
  // works. It complains of each one that is turned away. Then stopped() becomes true.
  void start_calm(std::size_t count);

 private:
  static co::Task<void> work(co::Executor& executor, Initiator* self);
  static co::Task<void> work_calmly(co::Executor& executor, Initiator* self, std::size_t count);
  // Whether to send `wish` again. It may change the wish.
  bool again(const Issued& command, Wish* wish);
  void learn(const Issued& command);
  bool reaches_beyond_the_end(const Wish& wish) const;
  Wish draw();
  Wish draw_change(Range range);
  Wish draw_unmap(Range range);
  Wish draw_copy(Range range);
  bool wants_start_stop();
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
