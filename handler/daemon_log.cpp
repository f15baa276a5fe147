// SPDX-License-Identifier: Apache-2.0
#include "handler/daemon_log.h"

#include <algorithm>

#include "handler/tcmur_abi.h"

namespace ballast::handler {
namespace {

// The daemon's buffer has 255 bytes (LOG_MSG_LEN). "ballast:0: ", "...", the newline and the
// terminating null take up to 20 of them.
constexpr std::size_t longest_piece = 255 - 20;

void log_piece(LogLevel level, const char* continued, std::string_view piece) {
  const int length = static_cast<int>(piece.size());
  switch (level) {
    case LogLevel::error:
      abi::tcmu_err_message(nullptr, "ballast", 0, "%s%.*s\n", continued, length, piece.data());
      break;
    case LogLevel::warning:
      abi::tcmu_warn_message(nullptr, "ballast", 0, "%s%.*s\n", continued, length, piece.data());
      break;
    case LogLevel::info:
      abi::tcmu_info_message(nullptr, "ballast", 0, "%s%.*s\n", continued, length, piece.data());
      break;
    case LogLevel::debug:
      abi::tcmu_dbg_message(nullptr, "ballast", 0, "%s%.*s\n", continued, length, piece.data());
      break;
  }
}

}  // namespace

void log_to_daemon(LogLevel level, std::string_view line) {
  const char* continued = "";
  do {
    std::size_t length = line.size();
    if (length > longest_piece) {
      const std::size_t blank = line.rfind(' ', longest_piece);
      // There is no blank in the second half. A broken word is better than a short line.
      length =
          blank != std::string_view::npos && blank > longest_piece / 2 ? blank + 1 : longest_piece;
    }
    log_piece(level, continued, line.substr(0, length));
    line.remove_prefix(length);
    continued = "...";
  } while (!line.empty());
}

}  // namespace ballast::handler
