// SPDX-License-Identifier: Apache-2.0
// The counters of a LUN: the name of each, its meaning in words, and where a snapshot has it.
// Reports and ballastctl are made from this table.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "lib/watch/snapshot.h"

namespace ballast::watch {

struct Counter {
  std::string_view name;  // ends with "_bytes" where it counts bytes, else it counts commands
  const char* meaning;
  bool in_list;  // whether the short report shows it, too
  std::uint64_t (*value)(const LunSnapshot& lun);
};

// In the order in which a person reads them.
inline constexpr std::array<Counter, 19> counters{{
    {"commands", "received", true, [](const LunSnapshot& lun) { return lun.counters.commands; }},
    {"good", "answered GOOD or CONDITION MET", true,
     [](const LunSnapshot& lun) { return lun.counters.good; }},
    {"check_condition", "answered CHECK CONDITION", true,
     [](const LunSnapshot& lun) { return lun.counters.check_condition; }},
    {"busy", "answered BUSY", true, [](const LunSnapshot& lun) { return lun.counters.busy; }},
    {"task_set_full", "answered TASK SET FULL", true,
     [](const LunSnapshot& lun) { return lun.counters.task_set_full; }},
    {"slow", "took longer than the slow threshold", false,
     [](const LunSnapshot& lun) { return lun.slow_begun; }},
    {"deadlines", "answered because their deadline came", false,
     [](const LunSnapshot& lun) { return lun.counters.deadlines; }},
    {"shed", "answered early because the LUN was stalled", false,
     [](const LunSnapshot& lun) { return lun.counters.shed; }},
    {"aborted", "answered early because of ABORT TASK or LUN RESET, or because the store was lost",
     false, [](const LunSnapshot& lun) { return lun.counters.aborted; }},
    {"orphaned", "answered with their operations still running", false,
     [](const LunSnapshot& lun) { return lun.counters.orphaned; }},
    {"adoptions", "retries that took over an orphan", false,
     [](const LunSnapshot& lun) { return lun.counters.adoptions; }},
    {"adoption_refused", "reads that could not take over an orphan: the blocks had changed since",
     false, [](const LunSnapshot& lun) { return lun.counters.adoption_refused; }},
    {"cancelled", "stopped at the storage before they were done", false,
     [](const LunSnapshot& lun) { return lun.counters.cancelled; }},
    {"held", "held past their deadline", false,
     [](const LunSnapshot& lun) { return lun.counters.held; }},
    {"stalls", "times the LUN became stalled", false,
     [](const LunSnapshot& lun) { return lun.counters.stalls; }},
    {"stuck", "times that a thread of the LUN did not go on for 5 s", false,
     [](const LunSnapshot& lun) { return lun.times_stuck; }},
    {"refused_wakes", "second wakes of a coroutine, all refused: each is a bug in Ballast", false,
     [](const LunSnapshot& lun) { return lun.refused_wakes; }},
    {"read_bytes", "read, answered GOOD", true,
     [](const LunSnapshot& lun) { return lun.counters.read.value(); }},
    {"written_bytes", "written, answered GOOD", true,
     [](const LunSnapshot& lun) { return lun.counters.written.value(); }},
}};
// Every member of LunCounters needs a row, or no report would show it. Three rows come from
// other members of the snapshot.
static_assert(sizeof(LunCounters) == (counters.size() - 3) * sizeof(std::uint64_t));

}  // namespace ballast::watch
