// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/text/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "lib/base/assert.h"

namespace ballast::ctl {
namespace {

bool continues(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

// How many columns a terminal needs; wide characters count as one.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return !continues(byte); }));
}

// The bytes of the well-formed UTF-8 sequence at the beginning of `text`, 0 if there is none.
// Unicode 15, table 3-7.
std::size_t utf8_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80U) {
    return 1;
  }
  const std::size_t length = lead >= 0xF0U ? 4 : lead >= 0xE0U ? 3 : 2;
  if (lead < 0xC2U || lead > 0xF4U || text.size() < length ||
      !std::all_of(text.begin() + 1, text.begin() + static_cast<std::ptrdiff_t>(length),
                   continues)) {
    return 0;
  }
  const auto second = static_cast<unsigned char>(text[1]);
  const bool overlong = (lead == 0xE0U && second < 0xA0U) || (lead == 0xF0U && second < 0x90U);
  const bool no_character = (lead == 0xEDU && second > 0x9FU) || (lead == 0xF4U && second > 0x8FU);
  return overlong || no_character ? 0 : length;
}

// One decimal place where it says something: "4", "1.5".
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
  command.add_flag("--json", wanted, "for programs: one JSON document");
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
    const std::size_t length = utf8_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    // C0, DEL, and C1 (U+0080 to U+009F), which some terminals obey.
    const bool control =
        first < 0x20U || first == 0x7FU ||
        (length == 2 && first == 0xC2U && static_cast<unsigned char>(text[1]) < 0xA0U);
    if (length == 0 || control) {
      shown += fmt::format("\\x{:02x}", first);
      text.remove_prefix(1);
    } else {
      shown += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return shown;
}

void Table::add(std::vector<std::string> cells) {
  BALLAST_ASSERT(cells.size() == columns_.size());
  for (std::string& cell : cells) {
    cell = cell.empty() ? "-" : printable(cell);
  }
  rows_.push_back(std::move(cells));
}

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    std::size_t width = width_of(columns_[column].title);
    for (const auto& row : rows_) {
      width = std::max(width, width_of(row[column]));
    }
    widths.push_back(width);
  }
  std::string text;
  const auto put = [&](std::size_t column, std::string_view cell) {
    const std::string blanks(widths[column] - width_of(cell), ' ');
    const bool right = columns_[column].align == Align::right;
    text.append(right ? blanks : "").append(cell).append(right ? "" : blanks);
    if (column + 1 < columns_.size()) {
      text += "  ";
      return;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  };
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    put(column, columns_[column].title);
  }
  for (const auto& row : rows_) {
    for (std::size_t column = 0; column < row.size(); ++column) {
      put(column, row[column]);
    }
  }
  return text;
}

}  // namespace ballast::ctl
