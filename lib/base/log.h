// SPDX-License-Identifier: Apache-2.0
// The log sink: where every message of lib/ and handler/ goes.
//
// lib/ knows nothing of the daemon. So the program that loads it calls set_log_sink() once, before
// any other thread exists. Until then lines go to standard error. A sink gets one line without a
// newline, must be callable from any thread, and must not call back into Ballast. A sink that may
// block is put behind the log writer (log_writer.h).
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace ballast {

enum class LogLevel { error, warning, info, debug };

using LogSink = void (*)(LogLevel level, std::string_view line);

void set_log_sink(LogSink sink) noexcept;

// Logs a finished line as it is, without formatting: for text that is not ours, and for paths that
// must not allocate.
void log_plain(LogLevel level, std::string_view line) noexcept;

void log_formatted(LogLevel level, fmt::string_view format, fmt::format_args arguments) noexcept;

// Formats and logs one line. Without memory for all of it, only its beginning is logged.
template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) noexcept {
  log_formatted(level, format, fmt::make_format_args(args...));
}

}  // namespace ballast
