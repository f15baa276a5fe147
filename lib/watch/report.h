// SPDX-License-Identifier: Apache-2.0
// Reports on the LUNs as JSON: the interface between the plugin and programs that show them
// (ballastctl, the metrics exporter, a script behind `ballastctl --json`). This is its manual.
//
// Pure functions of snapshots, for any thread. The text is one line of valid UTF-8, whatever bytes
// a name holds: bytes that are not well-formed UTF-8 appear as U+FFFD, control characters as \u00NN
// escapes. (A program that prints a name on a terminal has to quote it all the same.) Only
// std::bad_alloc may be thrown.
//
// Every document
//   {"version": 1, "report": "list" | "inflight" | "slow" | "stats" | "tasks" | "log" |
//                              "stalled" | "recovered",
//    "luns": [LUN, ...], "silent": [NAME, ...], "stuck": [THREAD, ...]}
// "luns" has a LUN for each snapshot, in their order; "silent" has the names of LUNs that did not
// answer; "stuck" has threads of LUNs that do not go on (lib/watch/watchdog.h), of silent LUNs from
// the first second on, of others from the fifth. `version` grows when a member goes away or changes
// its meaning. Members may be added without a new version, so readers ignore members that they do
// not know. All members named here are always there; some may be null where this manual says so.
// Numbers are whole, at least 0 and below 2^64. Units are in the names: _ns nanoseconds, _bytes
// bytes. Times are durations: "stalled_for_ns", not "stalled since".
//
// THREAD: lun            string   the LUN's name
//         for_ns         how long it has not gone on
//         thread         its number, as /proc/self/task has it
//         thread_name    string
//         thread_state   string, as ps shows it: "R" runs, "S" sleeps, "D" sleeps unkillably
//         drives         boolean: it drives the LUN, which answers nothing meanwhile
//         task           string: whose coroutine it runs, as in `tasks` | null: none
//         where          string: that task's last wait, "volume.cpp:123" | null: it has not waited
//         what           string: what it does, in words
//         in_kernel      string: where it is in the kernel, in words | null: not known
//
// Every LUN has
//   name               string   the backstore's, as in targetcli
//   at_ns              when the snapshot was taken, on a monotonic clock of the daemon; the
//                      difference of two is the time between two reports
//   state              "ok" | "stalled"
//   stalled_for_ns     how long it has been stalled by now | null: it is not stalled
//   unanswered         commands not answered yet, now
//   orphans            commands answered whose operations still run, now
// and, by the kind of report:
//
// list
//   backend            string   "file=/srv/vol0.raw"
//   configuration      string   as lib/lun/config.h writes it
//   fault_control      string   path of the fault wrapper's control file | null: no wrapper
//   access             string   "owner" | "standby" | "transition" | "fenced" (lost, and not ready
//                      to be taken over again) | null: the store is not shared with other gateways
//   owner              string   who owns the shared store, its address there | null: nobody, or it
//                      is not known, or the store is not shared
//   capacity_bytes, logical_block_bytes
//   connection         {state, for_ns}: to a store on another machine, "connected",
//                      "reconnecting" or "fenced", and for how long | null: there is none
//   log                {state, used_per_mille}: of the write log in front of the store, "working",
//                      "letting go" (an operator wants the LUN to work without it), "let go" (it
//                      does), "failing" (its disk; the store gets what it has, and changes wait),
//                      "retired" (and now the LUN works without it) or "damaged", and how full it
//                      is | null: there is none
//   open_for_ns
//   deadline_ns, slow_ns, stall_after_ns, stall_window, busy_for_ns, max_iops, max_bandwidth (bytes
//   a second), burst_ns
//                      the limits in force: every key of lib/base/limits
//   queue_depth
//   oldest_ns          age of the oldest command in flight, orphans among them | null: none
//   orphan_bytes       data held for orphans, now
//   mailbox            {version, flags, ring_offset, ring_bytes}: the head of the LUN's ring, as
//                      the kernel wrote it (struct tcmu_mailbox); ballast-kmod reads it
//   counters           {commands, good, check_condition, busy, task_set_full, read_bytes,
//                      written_bytes}, as in `stats`
//
// inflight
//   connection         as in `list`
//   waits_for          string: what the oldest request of the store's client waits for, "osd.3,
//                      object rbd_data.10af.ff, for 12.1 s" | null: it does not know, or has not
//                      answered in time
//   commands           [COMMAND, ...], oldest first; orphans are among them
//   COMMAND: number              counted from 1 since the LUN was opened
//            operation           string, "WRITE(10)"
//            opcode              0 to 255
//            lba, blocks, bytes  the range; each null if the command has none
//            age_ns              since it arrived
//            stage               "queue" | "limit" | "fence" | "elevator" | "backend" | "log" |
//                                "answer": where it is now
//            stage_for_ns        in this stage, since it last entered it
//            time_in_ns          {queue, ..., answer}: the time in each stage, all visits; they add
//                                up to age_ns
//            orphan              boolean: answered, but its operations still run
//            answered_for_ns     since it was answered | null: it is not answered
//            adopts              boolean: it waits for an orphan's result
//            error_handler_in_ns until the error handler of an initiator with default settings
//                                begins (60 s after the command was sent); 0 if it has begun |
//                                null: the command is answered
//
// slow
//   slow_ns            the threshold in force
//   slow_begun         how many commands were slow since the LUN was opened
//   requests           [REQUEST, ...], the newest that have ended, oldest first
//   REQUEST: number, operation, opcode, lba, blocks, bytes   as above
//            answer              string: "GOOD", "CHECK CONDITION", "BUSY", "orphan ended", ...
//            took_ns             from its arrival to its end
//            ended_for_ns        since its end
//            time_in_ns          {queue, ..., answer}
//            adopts              boolean
//            waited_for          string: what the store's client waited for meanwhile | null
//
// stats
//   open_for_ns
//   orphan_bytes       now
//   counters           since the LUN was opened: {NAME: number, ...}, all of counters.h, which
//                      gives the meaning of each
//   latency            {reads, writes, others}, each a HISTOGRAM: from arrival to answer, of
//                      commands answered GOOD, since the LUN was opened
//   HISTOGRAM: count
//              sum_ns, mean_ns   (mean_ns rounded down, 0 if there is none)
//              p50_ns, p99_ns, p999_ns   upper bounds, at most one part in eight too high
//              longest_ns
//              buckets           [[upper_bound_ns, count], ...]: the buckets that are not empty,
//                                upwards. Bounds are inclusive; the last possible bucket
//                                (1099511627776) also holds everything longer. The bounds are
//                                always the same, so the difference of two reports is a
//                                histogram of the time between them.
//   stages             {queue, limit, fence, elevator, backend, log, answer}, each {count, sum_ns,
//                      buckets}: the time that commands spent there until they were answered,
//                      commands that spent none left out. Bounds are powers of two; the last
//                      possible bucket (1099511627776) also holds everything longer.
//   store_errors       [{operation, error, count, last_for_ns}, ...]: operations that the store
//                      ended with an error since the LUN was opened, and how long ago the last one
//                      did: "read", "write", "zero", "discard", "flush",
//                      "block_status", "resize"; "medium error", "no space", "out of range",
//                      "write protected", "no resource", "not ready"
//
// tasks
//   tasks              [TASK, ...]: every live coroutine task of the LUN's executor
//   TASK: name         string
//         waits_for    string | null: it is ready to run
//         where        string, "volume.cpp:123"
//         for_ns       how long it has waited
//         awaited_at   [string, ...]: where the coroutine that waits there is awaited, where that
//                      one is, and so on; the last is the task's own
//
// log
//   backend            as in `list`
//   log                LOG | null: there is none
//   LOG: state, used_per_mille   as in `list`
//        device        string   "file=/fast/vol0.log"
//        used_bytes    of the log, blocks that the store does not have all of
//        size_bytes    of the log's ring
//        blocks        of the log, in used_bytes
//        first_block   the oldest one's number; the store has all that is in blocks before it
//        last_block    the newest written one's; below first_block if the store has everything
//        oldest_ns     how long the store has not had everything | null: it has
//        store_bytes_per_s     bytes of the log that the store took a second lately | null: not
//                      known yet
//        epoch         a number that rises each time that something was made durable
//
// Signals carry the like, of one LUN. "silent" and "stuck" are empty.
//
// stalled: the LUN has just become stalled
//   command            COMMAND: the one that has been at the store for longest
//   counters, store_errors   as in `stats`
//
// recovered: it is not stalled any more
//   was_stalled_for_ns
//   cost               {held, answered_early, adopted, store_errors}: what the LUN counted while it
//                      was stalled: commands held past their deadline, commands answered before
//                      they were done, retries that took over an orphan, operations that the store
//                      ended with an error. Orphans that are left may be adopted later.
//   counters, store_errors   as in `stats`
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lib/watch/bus.h"
#include "lib/watch/snapshot.h"
#include "lib/watch/stall.h"
#include "lib/watch/stuck.h"

namespace ballast::watch::report {

struct Report {
  bus::Method method;
  std::string (*write)(std::span<const LunSnapshot> luns, const FromOutside& outside);
  Lists lists{};  // those that it shows
};
// One for each method of the bus.
std::span<const Report> all();

std::string list(std::span<const LunSnapshot> luns, const FromOutside& outside);
std::string inflight(std::span<const LunSnapshot> luns, const FromOutside& outside);
std::string slow(std::span<const LunSnapshot> luns, const FromOutside& outside);
std::string stats(std::span<const LunSnapshot> luns, const FromOutside& outside);
std::string tasks(std::span<const LunSnapshot> luns, const FromOutside& outside);
std::string log(std::span<const LunSnapshot> luns, const FromOutside& outside);
// Of either signal.
std::string stall(const StallNews& news);

}  // namespace ballast::watch::report
