// SPDX-License-Identifier: Apache-2.0
// The log writer: a sink for sinks that block.
//
// A line that is written to a file or a socket waits for whatever that lies on; with the store
// frozen, that may be for minutes, and a thread that answers commands or keeps time must not. So a
// thread that logs hands its line over, and one thread of the process, "ballast/log", writes them,
// in order. It is detached, blocks all signals, and nobody waits for it longer than he says.
//
// Bounds: queue_bytes in all, longest_line for each (the rest is cut off). What finds no room is
// dropped and counted, and the count is logged in its place once there is room. A line that waited
// says how long, because the log's own time is that of the writing. Logging allocates nothing here
// and never fails.
#pragma once

#include <cstddef>

#include "lib/base/log.h"
#include "lib/base/units.h"

namespace ballast {

inline constexpr std::size_t log_queue_bytes = std::size_t{256} << 10;
inline constexpr std::size_t longest_log_line = std::size_t{4} << 10;

// Makes `sink` what lines go to from now on, through the writer. False: the thread cannot be made,
// and `sink` is called by whoever logs. Again: only the sink changes.
bool start_log_writer(LogSink sink) noexcept;

// Waits until all that was logged before is written. False: not within `limit`.
bool flush_log(Nanoseconds limit) noexcept;

// The sink is about to go: flushes, and from then on lines go nowhere. Where the sink does not
// return within `limit`, it may still be in its call.
void end_log_writer(Nanoseconds limit) noexcept;

}  // namespace ballast
