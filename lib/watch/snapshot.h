// SPDX-License-Identifier: Apache-2.0
// The data that an operator may ask of one LUN. It is copied at one moment on the LUN's executor,
// and may then be read on any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/limits.h"
#include "lib/base/units.h"
#include "lib/watch/command_record.h"
#include "lib/watch/histogram.h"
#include "lib/watch/log_view.h"
#include "lib/watch/mailbox.h"
#include "lib/watch/slow_log.h"
#include "lib/watch/stage_times.h"

namespace ballast::watch {

// Counted since the LUN was opened.
struct LunCounters {
  std::uint64_t commands = 0;  // that arrived
  std::uint64_t good = 0;      // answered GOOD or CONDITION MET
  std::uint64_t check_condition = 0;
  std::uint64_t busy = 0;  // by deadline, shed or aborted, or the backend said cancelled
  std::uint64_t task_set_full = 0;
  std::uint64_t deadlines = 0;         // answered because their deadline came
  std::uint64_t shed = 0;              // answered early because the LUN was stalled
  std::uint64_t aborted = 0;           // answered early because task management asked,
                                       // or because another machine has the store now
  std::uint64_t orphaned = 0;          // answered with their operations still running
  std::uint64_t adoptions = 0;         // retries that took over an orphan
  std::uint64_t adoption_refused = 0;  // reads that repeat an orphan's, but an
                                       // overlapping change has been admitted since
  std::uint64_t cancelled = 0;         // certainly stopped before they were done
  std::uint64_t held = 0;              // past their deadline and still held: not repeatable, or the
                                       // store is not exclusively ours
  std::uint64_t stalls = 0;            // times the LUN became stalled
  Bytes read{};                        // answered GOOD
  Bytes written{};
};

struct TaskView {
  std::string name;
  std::string waits_for;  // empty: ready
  std::string where;      // "volume.cpp:123"
  Nanoseconds for_how_long{};
  // Where the coroutine that waits there is awaited, where that one is, and so on.
  std::vector<std::string> awaited_at{};
};

// Operations of one kind that the store ended with one error.
struct StoreErrors {
  const char* operation = "";  // "read", "write", "zero", ...; a literal, as the next one
  const char* error = "";      // "medium error", "no space", ...
  std::uint64_t count = 0;
  TimePoint last{};  // when the last one ended
};

// What the store of a LUN has left for blocks that are not allocated yet.
struct RoomView {
  Bytes free{};
  Bytes used{};            // by the LUN
  Bytes soft_threshold{};  // 0: there is none
};

// Which of the snapshot's lists to copy. They may be long, so only those asked for are.
struct Lists {
  bool in_flight = false;
  bool slow_requests = false;
  bool tasks = false;
};

// The limits are those in force now: the window's share may change.
struct LunSnapshot : config::Limits {
  std::string name;           // the backstore's
  std::string configuration;  // as lib/lun/config.h writes it
  std::string backend;        // "file=/srv/vol0.raw"
  std::string fault_control;  // the control file's path; empty: no fault wrapper
  std::string access;         // see SharedStore::condition(); empty: the store is never shared
  std::string owner;          // of a shared store, its address; empty: nobody, or not known
  Bytes capacity{};
  Bytes logical_block{};
  std::uint32_t queue_depth = 0;
  Mailbox mailbox;
  TimePoint now{};
  TimePoint opened{};
  std::string connection;  // to a store on another machine: "connected", ...; empty: there is none
  TimePoint connection_since{};
  std::optional<RoomView> room;            // nothing: the store does not tell, or not yet
  std::optional<LogView> log;              // the write log; nothing: there is none
  std::optional<TimePoint> stalled_since;  // now stalled
  std::uint32_t unanswered = 0;            // now
  std::uint32_t orphans = 0;               // now
  Bytes orphan_bytes{};                    // now
  LunCounters counters;
  Histogram reads;  // latency from arrival to answer, of those answered GOOD
  Histogram writes;
  Histogram others;
  StageTimes stages;                      // of all commands that were answered
  std::vector<StoreErrors> store_errors;  // with a log, of the log and the store together
  std::uint64_t times_stuck = 0;          // one of its threads, see lib/watch/watchdog.h
  std::uint64_t refused_wakes = 0;        // lib/co: second or late wakes, all refused
  std::optional<TimePoint> oldest;        // when the oldest command in flight arrived, orphans too
  std::uint64_t slow_begun = 0;
  // Each is filled only if Lists asked for it.
  std::string waits_for;  // with in_flight: what the store's client waits for; empty: not known
  std::vector<CommandRecord> in_flight;    // oldest first, orphans among them
  std::vector<SlowRequest> slow_requests;  // oldest first
  std::vector<TaskView> tasks;
};

}  // namespace ballast::watch
