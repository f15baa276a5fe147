// SPDX-License-Identifier: Apache-2.0
#include "lib/base/log.h"

#include <algorithm>
#include <atomic>
#include <cstdio>

namespace ballast {
namespace {

void to_standard_error(LogLevel level, std::string_view line) {
  static constexpr const char* names[] = {"error", "warning", "info", "debug"};
  std::fprintf(stderr, "ballast %s: %.*s\n", names[static_cast<unsigned>(level)],
               static_cast<int>(line.size()), line.data());
}

std::atomic<LogSink> current_sink{&to_standard_error};

}  // namespace

void set_log_sink(LogSink sink) noexcept {
  current_sink.store(sink != nullptr ? sink : &to_standard_error, std::memory_order_release);
}

void log_plain(LogLevel level, std::string_view line) noexcept {
  current_sink.load(std::memory_order_acquire)(level, line);
}

void log_formatted(LogLevel level, fmt::string_view format, fmt::format_args arguments) noexcept {
  try {
    log_plain(level, fmt::vformat(format, arguments));
    return;
  } catch (...) {
  }
  char text[480];
  try {
    const auto end = fmt::vformat_to_n(text, sizeof text, format, arguments);
    log_plain(level, {text, std::min(end.size, sizeof text)});
  } catch (...) {
    log_plain(level, "a log line could not be formatted");
  }
}

}  // namespace ballast
