// SPDX-License-Identifier: Apache-2.0
// One random run. Its seed decides everything.
//
// The seed draws the store's capabilities and temper, the limits, the initiators and their habits,
// and then every fault. There are two phases:
//   safety     Faults come and go: freezes of everything, of changes, of reads, of a range, or of
//              answers only; thaws; operations that get stuck one by one, fail, run out of
//              resources, obey or ignore cancelling; connections that are lost, servers that
//              restart, stores that another client takes over; new limits; a LUN that is closed
//              and opened again, grown and shrunk; buffers that run out. A third of the runs have a
//              write log before the store; its disk may fail, and an operator may want the store to
//              let it go. No content may be wrong, and no answer late.
//   liveness   Faults stop. All that is outstanding must end in bounded time. Then the initiators
//              go on calmly, and none of their commands may be turned away. Last, the whole LUN is
//              read and closed, and nothing may be left behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/scsi/task_set.h"
#include "lib/write_log/sabotage.h"
#include "tests/sim/sim_backend.h"

namespace ballast::sim {

// What of a run takes place. Each fault is drawn by itself, so that those that stay stay the same.
struct RunBounds {
  std::size_t commands = 300;                       // about how many the phase of safety has
  std::size_t initiators = 3;                       // at most
  std::optional<std::set<std::uint32_t>> faults{};  // by number, from 1; nothing: all
  friend bool operator==(const RunBounds&, const RunBounds&) = default;
};

struct RunOptions {
  std::uint64_t seed = 1;
  RunBounds bounds{};
  scsi::TaskSetSabotage sabotage{};
  StoreSabotage store_sabotage{};
  write_log::Sabotage log_sabotage{};
  bool trace = false;
};

struct RunResult {
  std::vector<std::string> complaints;  // empty: nothing is wrong
  std::size_t commands = 0;
  std::uint32_t faults = 0;   // that were drawn
  std::size_t undecided = 0;  // blocks that were not judged
  // How often each intended event happened.
  std::uint64_t orphaned = 0;
  std::uint64_t adoptions = 0;
  std::uint64_t held = 0;
  std::uint64_t stalls = 0;
  std::uint64_t shed = 0;
  std::uint64_t by_log = 0;     // commands that a log answered while the store hung
  std::uint64_t full_logs = 0;  // logs that were full
};

RunResult run(const RunOptions& options);

}  // namespace ballast::sim
