// SPDX-License-Identifier: Apache-2.0
// Says what a Linux initiator (6.1, open-iscsi over TCP) does, and when, with a command that is not
// answered. It is a model to show and to reason with, not a simulation.
//
// The model follows one command that is sent at time 0 to a LUN that freezes at that moment. It
// takes the quickest case: no older command makes progress, and all of the command was on the wire
// at once. Each time is the earliest possible. The kernel's timers run up to 2 s late, because its
// timer wheel counts in steps of 2 s at that distance, so measured times are up to about 4 s later.
// Measured with T = 30 s: error 1021 at 66.9 s and the I/O error at 70.2 s, where the model says 64
// and 67 s (abort 4 s, replacement 3 s); 77.6 and 197.9 s, where it says 75 and 195 s (15 s, 120
// s).
//
// Where the terms come from
//   T            The block layer's timer of a request (`timeout` of the SCSI device). At T libiscsi
//                (iscsi_eh_cmd_timed_out) sends a NOP to see whether the connection lives, and asks
//                for another T. The second time, at 2 T, it lets the error handler begin. If both
//                NOP settings are 0, it has nothing to check, and the error handler begins at T.
//                Data that is moved for the command, or for an older one, is progress and gives
//                another T each time.
//   abort        The error handler sends ABORT TASK and waits abort_timeout (iscsi_eh_abort). LIO
//                answers only after the command itself has ended. When the wait is over, libiscsi
//                gives up the connection at once: error 1021, ISCSI_ERR_SCSI_EH_SESSION_RST. It
//                sends no LOGICAL UNIT RESET then, nor anything else. So lu_reset_timeout,
//                tgt_reset_timeout and eh_timeout (of the TEST UNIT READY after a reset) count only
//                for a target that answers the abort. The settings have them only to show them.
//   replacement  From then on all LUNs of the session are blocked until it is logged in again. A
//                target that waits for the command does not let it log in. After
//                replacement_timeout (session_recovery_timedout, scsi_transport_iscsi.c) all LUNs
//                become transport-offline, and the queued commands fail: the I/O error. -1: they
//                wait for ever. 0: at once.
//   eh_deadline  Counted from the first timeout of any command, so from T and not from 2 T
//                (scsi_timeout, scsi_error.c). Once it is over, the error handler leaves out steps.
//                If it is over before 2 T, the abort is left out, and with it the loss of the
//                session. If it is over before the abort is given up, the wait for the session is
//                left out. A host reset remains, which iSCSI does not have, and then the disk is
//                set offline for good. The model tells only what comes first, this or the steps
//                above.
//   noop_out_*   LIO answers NOPs while a LUN is frozen, so their times are in no sum. NOPs detect
//                a dead target or network, which this model does not cover.
//   BUSY         (and TASK SET FULL) The initiator queues the command again and counts no retry,
//                until (max_retries + 1) x T after it was first sent. The first answer after that
//                which is not GOOD fails the command (scsi_cmd_runtime_exceeced, scsi_lib.c).
//                max_retries -1: never.
//
// Pure functions; any thread. Settings hold no negative time. A sum that is too large is
// `for_ever`.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/units.h"

namespace ballast::ctl::timeline {

inline constexpr Nanoseconds for_ever = Nanoseconds::max();

// Names as in sysfs and iscsid.conf. The values are the defaults of Linux and of iscsid.
struct Settings {
  Nanoseconds timeout = std::chrono::seconds{30};         // T; device/timeout
  Nanoseconds eh_timeout = std::chrono::seconds{10};      // device/eh_timeout
  std::optional<Nanoseconds> eh_deadline = std::nullopt;  // scsi_host; nullopt: "off"
  int max_retries = 5;  // scsi_disk; -1: for ever; sysfs takes 5 at most
  Nanoseconds abort_timeout = std::chrono::seconds{15};
  Nanoseconds lu_reset_timeout = std::chrono::seconds{30};
  Nanoseconds tgt_reset_timeout = std::chrono::seconds{30};
  std::optional<Nanoseconds> replacement_timeout = std::chrono::seconds{120};  // nullopt: -1
  Nanoseconds noop_out_interval = std::chrono::seconds{5};
  Nanoseconds noop_out_timeout = std::chrono::seconds{5};
};

enum class What : std::uint8_t {
  sent,                // the command is on its way; the LUN freezes
  connection_checked,  // a NOP checks the connection
  busy,                // the target answers BUSY; the command is sent again
  error_handler,       // the error handler begins
  session_dropped,     // error 1021
  disk_offline,        // eh_deadline sets the disk offline
  io_error,            // the first error that an application or a file system sees
};
const char* to_string(What what) noexcept;  // "sent", "connection checked", ...

struct Event {
  Nanoseconds at{};  // since the command was sent
  What what = What::sent;
  std::string sentence;  // what happens to the command
  std::string others;    // what this means for the other LUNs of the session; a sentence
};

// The time at which the error handler begins for a command that makes no progress: 2 T, or T
// without NOPs.
Nanoseconds error_handler_begins(const Settings& settings);

// The events with a target that never answers, in the order of time. The last one is io_error,
// unless replacement_timeout is -1 and eh_deadline leaves time to wait for the session.
std::vector<Event> unanswered(const Settings& settings);

// The events with a Ballast target. It answers BUSY, again and again, when a command is `deadline`
// old, and some commands earlier, so that they hold no more than their share of the session's
// command window. The last event is io_error, unless max_retries is -1. If the error handler begins
// before the deadline, BUSY comes too late, and this returns unanswered().
std::vector<Event> answered_busy(const Settings& settings, Nanoseconds deadline);

// How long a freeze may last before the first I/O error; for_ever if there is no such error.
Nanoseconds survives(const Settings& settings, Nanoseconds deadline);
Nanoseconds survives_unanswered(const Settings& settings);

}  // namespace ballast::ctl::timeline
