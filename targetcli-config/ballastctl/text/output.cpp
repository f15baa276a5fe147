// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/text/output.h"

#include <fmt/format.h>
#include <glib.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace ballast::ctl {
namespace {

// Adds one decimal place if it is not 0 and the number is below 100: "4", "1.5".
std::string short_number(std::uint64_t value, std::uint64_t unit) {
  const std::uint64_t whole = value / unit;
  const std::uint64_t tenth = value % unit * 10 / unit;
  return whole >= 100 || tenth == 0 ? fmt::format("{}", whole) : fmt::format("{}.{}", whole, tenth);
}

}  // namespace

void fail(std::string_view message) {
  std::fflush(stdout);
  fmt::print(stderr, "ballastctl: {}\n", printable(message));
  throw CLI::RuntimeError{exit_failed};
}

bool finish_output() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) {
    return true;
  }
  fmt::print(stderr, "ballastctl: standard output cannot be written: {}\n", std::strerror(errno));
  return false;
}

void add_json_flag(CLI::App& command, bool& wanted) {
  command.add_flag("--json", wanted, "print one JSON document, for programs");
}

void print_json(const nlohmann::ordered_json& document) {
  constexpr auto replace = nlohmann::ordered_json::error_handler_t::replace;
  fmt::print("{}\n", document.dump(2, ' ', false, replace));
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 7> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  while (unit + 1 < units.size() && bytes >> (10 * (unit + 1)) != 0) {
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes)
                   : fmt::format("{} {}", short_number(bytes, std::uint64_t{1} << (10 * unit)),
                                 units[unit]);
}

std::string duration_text(std::uint64_t nanoseconds) {
  constexpr std::uint64_t microsecond = 1000, millisecond = 1000 * microsecond,
                          second = 1000 * millisecond, minute = 60 * second, hour = 60 * minute,
                          day = 24 * hour;
  const auto pair = [nanoseconds](std::uint64_t unit, const char* name, std::uint64_t lesser,
                                  const char* lesser_name) {
    const std::uint64_t rest = nanoseconds % unit / lesser;
    return rest == 0 ? fmt::format("{} {}", nanoseconds / unit, name)
                     : fmt::format("{} {} {} {}", nanoseconds / unit, name, rest, lesser_name);
  };
  if (nanoseconds == 0) {
    return "0 s";
  }
  if (nanoseconds < microsecond) {
    return fmt::format("{} ns", nanoseconds);
  }
  if (nanoseconds < millisecond) {
    return short_number(nanoseconds, microsecond) + " us";
  }
  if (nanoseconds < second) {
    return short_number(nanoseconds, millisecond) + " ms";
  }
  if (nanoseconds < minute) {
    return short_number(nanoseconds, second) + " s";
  }
  if (nanoseconds < hour) {
    return pair(minute, "min", second, "s");
  }
  return nanoseconds < day ? pair(hour, "h", minute, "min") : pair(day, "d", hour, "h");
}

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    // The result is -1 or -2, and so no character, if the text is not UTF-8 here.
    const gunichar character =
        g_utf8_get_char_validated(text.data(), static_cast<gssize>(text.size()));
    if (g_unichar_validate(character) != FALSE && g_unichar_isprint(character) != FALSE) {
      const auto length = static_cast<std::size_t>(g_unichar_to_utf8(character, nullptr));
      shown += text.substr(0, length);
      text.remove_prefix(length);
    } else {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
    }
  }
  return shown;
}

}  // namespace ballast::ctl
