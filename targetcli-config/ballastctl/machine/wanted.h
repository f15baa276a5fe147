// SPDX-License-Identifier: Apache-2.0
// Which settings an initiator should have, so that it outlives a freeze of a given length. Pure.
//
// Why these, in a few words (timeline.h has the mechanism):
//   timeout, max_retries   A Ballast target answers BUSY at its deadline, and the initiator sends
//   the
//                          command again until (max_retries + 1) x timeout have passed. The kernel
//                          takes max_retries 0 to 5, and -1 for ever (max_retries_store, sd.c). -1
//                          has a price: a write that fails for good, MEDIUM ERROR / WRITE ERROR, is
//                          repeated for ever too (scsi_check_sense, scsi_error.c). So it is 5, and
//                          the timeout long enough. A long timeout costs nothing here: a dead
//                          target is found by NOPs, and Ballast answers long before it. -1 is kept
//                          where an operator has chosen it. UNMAP has a timeout of its own, 30 s
//                          (sd.c): a discard fails after 180 s whatever is set, and nothing is lost
//                          by that.
//   eh_deadline            off: it would cut the wait short and set the disk offline.
//   replacement_timeout    As long as the freeze: then it is also outlived where the whole target
//                          stands still and the session is lost.
//   abort, lu, tgt reset   Longer than Ballast's deadline, since LIO answers a task management
//                          request only once our answer to the command is out.
//   NOP-outs               On: without them the error handler begins at half the time. LIO answers
//                          them while a LUN is frozen, but not while a thread of the session waits
//                          for our answer; so their timeout is longer than the deadline too.
//                          Interval and timeout together stay below the SCSI timeout, which
//                          libiscsi takes for granted (iscsi_eh_cmd_timed_out).
#pragma once

#include <chrono>
#include <cstdint>

#include "lib/base/units.h"
#include "targetcli-config/ballastctl/machine/timeline.h"

namespace ballast::ctl {

struct Goal {
  Nanoseconds survive = std::chrono::minutes{10};
  Nanoseconds deadline = std::chrono::seconds{20};  // the target's
};
inline constexpr Nanoseconds longest_survive = std::chrono::hours{24 * 30};

// Beyond the deadline, for an answer to arrive.
inline constexpr Nanoseconds answer_margin = std::chrono::seconds{10};

// `found`, with what has to change changed; a setting that is good enough stays. All values are
// whole seconds. eh_timeout is never changed. Doing it again changes nothing.
timeline::Settings wanted(const timeline::Settings& found, const Goal& goal);

// Rounded up.
std::int64_t whole_seconds(Nanoseconds time);

}  // namespace ballast::ctl
