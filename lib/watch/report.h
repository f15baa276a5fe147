// SPDX-License-Identifier: Apache-2.0
// What an operator may ask of the LUNs, as JSON: the interface between the plugin and whoever shows
// it (ballastctl, the metrics exporter, a script behind `ballastctl --json`). This is its manual.
//
// Pure functions of snapshots, for any thread. The text is one line of valid UTF-8 whatever bytes a
// name holds: what is not well-formed UTF-8 appears as U+FFFD, control characters as \u00NN
// escapes. (Who prints a name on a terminal has to quote it all the same.) Only std::bad_alloc may
// be thrown.
//
// Every document
//   {"version": 1, "report": "list" | "inflight" | "slow" | "stats" | "tasks", "luns": [LUN, ...],
//    "silent": [NAME, ...]}
// with a LUN for each snapshot, in their order, and the names of those that did not answer.
// `version` grows when a member goes away or changes its meaning; members may be added without it,
// so readers ignore what they do not know. All members named here are always there; null where it
// says so. Numbers are whole, at least 0 and below 2^64; units are in the names: _ns nanoseconds,
// _bytes bytes. Times are durations: "stalled_for_ns", not "stalled since".
//
// Every LUN has
//   name               string   the backstore's, as in targetcli
//   at_ns              when the snapshot was taken, on a monotonic clock of the daemon: the time
//                      between two reports is the difference of two
//   state              "ok" | "stalled"
//   stalled_for_ns     how long by now | null: it is not stalled
//   unanswered         commands not answered yet, now
//   orphans            commands answered whose operations still run, now
// and, by the kind of report:
//
// list
//   backend            string   "file=/srv/vol0.raw"
//   configuration      string   as lib/base/config.h writes it
//   fault_control      string   path of the fault wrapper's control file | null: no wrapper
//   capacity_bytes, logical_block_bytes
//   open_for_ns
//   deadline_ns, slow_ns, stall_after_ns, stall_window, busy_for_ns, queue_depth
//                      the limits in force
//   oldest_ns          age of the oldest command in flight, orphans among them | null: none
//   orphan_bytes       data held for orphans, now
//   mailbox            {version, flags, ring_offset, ring_bytes}: the head of the LUN's ring, as
//   the
//                      kernel wrote it (struct tcmu_mailbox); ballast-kmod reads it
//   counters           {commands, good, check_condition, busy, task_set_full, read_bytes,
//                      written_bytes}, as in `stats`
//
// inflight
//   commands           [COMMAND, ...], oldest first; orphans are among them
//   COMMAND: number              counted from 1 since the LUN was opened
//            operation           string, "WRITE(10)"
//            opcode              0 to 255
//            lba, blocks, bytes  the range; each null where the command has none
//            age_ns              since it came
//            stage               "queue" | "fence" | "backend" | "answer": where it is now
//            stage_for_ns        in this stage, since it last came there
//            time_in_ns          {queue, fence, backend, answer}: in each stage, all visits;
//                                they add up to age_ns
//            orphan              boolean: answered, its operations still run
//            answered_for_ns     since it was answered | null: it is not
//            adopts              boolean: waits for an orphan's result
//            error_handler_in_ns until the error handler of an initiator with default settings
//                                begins (60 s after the command was sent), 0 where it has begun |
//                                null: it is answered
//
// slow
//   slow_ns            the threshold in force
//   slow_begun         how many commands were slow since the LUN was opened
//   requests           [REQUEST, ...], the newest that have ended, oldest first
//   REQUEST: number, operation, opcode, lba, blocks, bytes   as above
//            answer              string: "GOOD", "CHECK CONDITION", "BUSY", "orphan ended", ...
//            took_ns             from its coming to its end
//            ended_for_ns        since its end
//            time_in_ns          {queue, fence, backend, answer}
//            adopts              boolean
//
// stats
//   open_for_ns
//   orphan_bytes       now
//   counters           since the LUN was opened: {NAME: number, ...}, all of counters.h, which says
//                      what each counts
//   latency            {reads, writes, others}, each a HISTOGRAM: from coming to answer, of those
//                      answered GOOD, since the LUN was opened
//   HISTOGRAM: count
//              sum_ns, mean_ns   (mean_ns rounded down, 0 if there is none)
//              p50_ns, p99_ns, p999_ns   upper bounds, at most one part in eight too high
//              longest_ns
//              buckets           [[upper_bound_ns, count], ...]: those that are not empty,
//                                upwards, bounds inclusive; the last possible one
//                                (1099511627776) holds all that is longer, too. The bounds are
//                                always the same, so that the difference of two reports is a
//                                histogram of the time between them.
//
// tasks
//   tasks              [TASK, ...]: every live coroutine task of the LUN's executor
//   TASK: name         string
//         waits_for    string | null: it is ready to run
//         where        string, "volume.cpp:123"
//         for_ns       how long it has waited
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lib/watch/snapshot.h"

namespace ballast::watch::report {

std::string list(std::span<const LunSnapshot> luns, const std::vector<std::string>& silent);
std::string inflight(std::span<const LunSnapshot> luns, const std::vector<std::string>& silent);
std::string slow(std::span<const LunSnapshot> luns, const std::vector<std::string>& silent);
std::string stats(std::span<const LunSnapshot> luns, const std::vector<std::string>& silent);
std::string tasks(std::span<const LunSnapshot> luns, const std::vector<std::string>& silent);

}  // namespace ballast::watch::report
