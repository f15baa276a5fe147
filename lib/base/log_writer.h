// SPDX-License-Identifier: Apache-2.0
// The log writer: a sink for sinks that block.
//
// Writing a line to a file or a socket can block for minutes, for example while the file's store is
// frozen. A thread that answers commands or keeps time must not block so long. So a thread that
// logs only queues its line, and one thread of the process, "ballast/log", writes the lines in
// order. The writer thread is detached and blocks all signals. Only flush_log() and
// end_log_writer() wait for it, no longer than their limit.
//
// Bounds: log_queue_bytes for all lines, longest_log_line for each (the rest is cut off). A line
// that finds no room is dropped and counted, and the count is logged in its place once there is
// room. The log stamps a line with the time of writing, so a line that waited says how long.
// Logging allocates nothing here and never fails.
#pragma once

#include <cstddef>

#include "lib/base/log.h"
#include "lib/base/units.h"

namespace ballast {

inline constexpr std::size_t log_queue_bytes = std::size_t{256} << 10;
inline constexpr std::size_t longest_log_line = std::size_t{4} << 10;

// From now on lines go to `sink` through the writer. Returns false if the thread cannot be made;
// then the thread that logs calls `sink` itself. A second call only changes the sink.
bool start_log_writer(LogSink sink) noexcept;

// Waits until everything logged before is written. Returns false if that takes longer than `limit`.
bool flush_log(Nanoseconds limit) noexcept;

// Call it before the sink goes away. It flushes, and drops all lines that are logged from then on.
// If a call of the sink does not return within `limit`, that call may still be running afterwards.
void end_log_writer(Nanoseconds limit) noexcept;

}  // namespace ballast
