// SPDX-License-Identifier: Apache-2.0
// What a Linux initiator (6.1, open-iscsi over TCP) does, and when, with a command that is not
// answered: a model to show and to reason with, not a simulation.
//
// One command is followed, sent at time 0 on a LUN that freezes at that moment, in the case that is
// quickest: nothing older makes progress, all of it was on the wire at once. Each time is the
// earliest; timers of the kernel run up to 2 s late (at that distance its timer wheel counts in
// steps of 2 s), so that measured times are up to about 4 s later. Measured with T = 30 s:
// error 1021 at 66.9 s and the I/O error at 70.2 s where the model says 64 and 67 s (abort 4 s,
// replacement 3 s); 77.6 and 197.9 s where it says 75 and 195 s (15 s, 120 s).
//
// Where the terms come from
//   T            The block layer's timer of a request (`timeout` of the SCSI device). At T
//                libiscsi (iscsi_eh_cmd_timed_out) sends a NOP to see that the connection lives and
//                asks for another T; the second time it lets the error handler begin: at 2 T. With
//                both NOP settings 0 it has nothing to check and the error handler begins at T.
//                Data moved for the command, or for an older one, is progress and gives another T
//                each time.
//   abort        The error handler sends ABORT TASK and waits abort_timeout (iscsi_eh_abort). LIO
//                answers only once the command itself has ended. When the wait is over, libiscsi
//                gives the connection up at once: error 1021, ISCSI_ERR_SCSI_EH_SESSION_RST. No
//                LOGICAL UNIT RESET is sent then, nor anything else: lu_reset_timeout,
//                tgt_reset_timeout and eh_timeout (of the TEST UNIT READY after a reset) count only
//                for a target that answers the abort. They are settings here to be shown.
//   replacement  From then on all the session's LUNs are blocked until it is logged in again; a
//                target that waits for the command does not let it in. replacement_timeout later
//                (session_recovery_timedout, scsi_transport_iscsi.c) all become transport-offline,
//                and what was queued fails: the I/O error. -1: they wait for ever. 0: at once.
//   eh_deadline  Counted from the first timeout of any command, so from T and not from 2 T
//                (scsi_timeout, scsi_error.c). Once it is over, steps are left out: before 2 T, the
//                abort, and so the loss of the session; before the abort is given up, the wait for
//                the session. What is left is a host reset, which iSCSI has not, and then the disk
//                is set offline for good. Only what comes first of this and the above is told.
//   noop_out_*   A frozen LUN does not keep LIO from answering NOPs, so that their time is in no
//                sum; they detect a dead target or network, for which all this is not meant.
//   BUSY         (and TASK SET FULL) The command is queued again, and no retry counted, until
//                (max_retries + 1) x T after it was first sent: the first answer after that which
//                is not GOOD fails it (scsi_cmd_runtime_exceeced, scsi_lib.c). max_retries -1:
//                never.
//
// Pure functions; any thread. Settings hold no negative time; sums that are too large are
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

// As sysfs and iscsid.conf name them; the values are the defaults of Linux and of iscsid.
struct Settings {
  Nanoseconds timeout = std::chrono::seconds{30};         // T; device/timeout
  Nanoseconds eh_timeout = std::chrono::seconds{10};      // device/eh_timeout
  std::optional<Nanoseconds> eh_deadline = std::nullopt;  // scsi_host; nullopt: "off"
  int max_retries = 5;  // scsi_disk; -1: for ever; sysfs takes no more than 5
  Nanoseconds abort_timeout = std::chrono::seconds{15};
  Nanoseconds lu_reset_timeout = std::chrono::seconds{30};
  Nanoseconds tgt_reset_timeout = std::chrono::seconds{30};
  std::optional<Nanoseconds> replacement_timeout = std::chrono::seconds{120};  // nullopt: -1
  Nanoseconds noop_out_interval = std::chrono::seconds{5};
  Nanoseconds noop_out_timeout = std::chrono::seconds{5};
};

enum class What : std::uint8_t {
  sent,                // the command is on its way; the LUN freezes
  connection_checked,  // by a NOP
  busy,                // the target answers BUSY; the command is sent again
  error_handler,       // begins
  session_dropped,     // error 1021
  disk_offline,        // by eh_deadline
  io_error,            // the first that an application or a file system sees
};
const char* to_string(What what) noexcept;  // "sent", "connection checked", ...

struct Event {
  Nanoseconds at{};  // since the command was sent
  What what = What::sent;
  std::string sentence;  // what happens to the command
  std::string others;    // what this means for the other LUNs of the session; a sentence
};

// When the error handler begins with a command that makes no progress: 2 T, or T without NOPs.
Nanoseconds error_handler_begins(const Settings& settings);

// Of a target that never answers, in the order of time. Ends with io_error, unless
// replacement_timeout is -1.
std::vector<Event> unanswered(const Settings& settings);

// Of a Ballast target, which answers BUSY when a command is `deadline` old (and some earlier, to
// hold no more of the session's command window than its share), again and again. Ends with
// io_error, unless max_retries is -1. If the deadline is not before the error handler begins, it is
// of no use, and this is unanswered().
std::vector<Event> answered_busy(const Settings& settings, Nanoseconds deadline);

// How long a freeze may last before the first I/O error; for_ever if there is none.
Nanoseconds survives(const Settings& settings, Nanoseconds deadline);
Nanoseconds survives_unanswered(const Settings& settings);

}  // namespace ballast::ctl::timeline
