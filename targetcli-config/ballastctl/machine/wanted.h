// SPDX-License-Identifier: Apache-2.0
// Says which settings an initiator should have, so that it outlives a freeze of a given length.
// Pure.
//
// The reasons (timeline.h has the mechanism):
//   timeout, max_retries   A Ballast target answers BUSY at its deadline, and the initiator sends
//                          the command again until (max_retries + 1) x timeout have passed. The
//                          kernel takes max_retries 0 to 5, and -1 for ever (max_retries_store,
//                          sd.c). -1 has a price: a write that fails for good (MEDIUM ERROR / WRITE
//                          ERROR) is repeated for ever, too (scsi_check_sense, scsi_error.c). So
//                          max_retries is 5 and the timeout is long enough. A long timeout costs
//                          nothing here: NOPs find a dead target, and Ballast answers long before
//                          the timeout. If an operator has chosen -1, it stays. UNMAP has a timeout
//                          of its own, 30 s (sd.c): a discard fails after 180 s whatever the
//                          settings are, and no data is lost by that.
//   eh_deadline            off: otherwise it would end the wait early and set the disk offline.
//   replacement_timeout    As long as the freeze. Then the freeze is also outlived if the whole
//                          target stops and the session is lost. The disk of a session that is one
//                          of several paths (dm-multipath) needs the contrary: a short time, after
//                          which its commands go by another path. If none is left, multipathd holds
//                          them (multipath.h).
//   abort, lu, tgt reset   Longer than Ballast's deadline, because LIO answers a task management
//                          request only after Ballast has answered the command.
//   NOP-outs               On: without them the error handler begins after half the time. LIO
//                          answers them while a LUN is frozen, but not while a thread of the
//                          session waits for Ballast's answer. So their timeout is longer than the
//                          deadline, too. Interval and timeout together stay below the SCSI
//                          timeout, because libiscsi relies on that (iscsi_eh_cmd_timed_out).
#pragma once

#include <chrono>
#include <cstdint>

#include "lib/base/units.h"
#include "targetcli-config/ballastctl/machine/timeline.h"

namespace ballast::ctl {

struct Goal {
  Nanoseconds survive = std::chrono::minutes{10};   // the length of the freeze
  Nanoseconds deadline = std::chrono::seconds{20};  // that of the target's LUNs

  friend bool operator==(const Goal&, const Goal&) = default;
};
inline constexpr Nanoseconds longest_survive = std::chrono::hours{24 * 30};

// Whether the session is the only way to its LUNs, or dm-multipath has others.
enum class Paths : std::uint8_t { one, several };

// After this time without a session, I/O should go by another path; a longer one is good enough up
// to longest_failover.
inline constexpr Nanoseconds good_failover = std::chrono::seconds{5};
inline constexpr Nanoseconds longest_failover = std::chrono::seconds{30};

// Returns `found` with the settings changed that have to change; one that is good enough stays. The
// changed values are whole seconds. eh_timeout is never changed. Applied to its own result it
// changes nothing.
timeline::Settings wanted(const timeline::Settings& found, const Goal& goal,
                          Paths paths = Paths::one);

// Rounded up.
std::int64_t whole_seconds(Nanoseconds time);

}  // namespace ballast::ctl
