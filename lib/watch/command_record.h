// SPDX-License-Identifier: Apache-2.0
// The record of one command while it lives: what it is, how old it is, and where its time went.
//
// The task set (lib/scsi/task_set.h) owns one record per command and moves it from stage to stage.
// The volume tells it when a command waits behind a fence and when the backend has it. All other
// code reads copies. Driving thread only. Plain values; nothing here allocates.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/units.h"

namespace ballast::watch {

// The stage of a command. It may go back and forth: a WRITE SAME visits the backend many times.
enum class Stage : std::uint8_t {
  queue,     // waits for its turn: a buffer, a slot at the backend
  limit,     // waits for max_iops or max_bandwidth
  fence,     // waits for an overlapping command or orphan
  elevator,  // waits for the elevator to send it to the store
  source,    // waits for another LUN, whose blocks it copies
  backend,   // at least one operation is at the backend
  log,       // the same, and it needs only the log in front of the store
  answer,    // done; the answer is on its way
};
inline constexpr std::size_t stage_count = 8;
const char* to_string(Stage stage) noexcept;  // "queue", "limit", "fence", ...

struct CommandRecord {
  std::uint64_t number = 0;  // counted from 1, per LUN, since it was opened
  const char* name = "";     // the operation's, as SPC and SBC write it: "WRITE(10)"; a literal
  std::uint8_t opcode = 0;   // OPERATION CODE
  bool has_range = false;    // whether lba and blocks mean something
  Lba lba{};                 // first logical block
  BlockCount blocks{};
  TimePoint arrived{};   // when it came out of the ring
  TimePoint answered{};  // orphans: when its answer went out
  Stage stage = Stage::queue;
  TimePoint stage_since{};
  std::array<Nanoseconds, stage_count> spent{};  // in each stage, the present one not counted
  bool orphan = false;                           // answered, but its operations still run
  bool adopts = false;    // waits for the result of an orphan instead of doing the work again
  bool reported = false;  // the slow-request log has reported it as slow

  void enter(Stage next, TimePoint now) {
    spent[static_cast<std::size_t>(stage)] += now - stage_since;
    stage = next;
    stage_since = now;
  }
  Nanoseconds age(TimePoint now) const { return now - arrived; }
  // The time spent in `which`, including the present stay.
  Nanoseconds time_in(Stage which, TimePoint now) const {
    return spent[static_cast<std::size_t>(which)] +
           (which == stage ? now - stage_since : Nanoseconds{});
  }
};

}  // namespace ballast::watch
