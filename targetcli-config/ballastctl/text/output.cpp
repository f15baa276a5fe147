// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/text/output.h"

#include <fmt/format.h>
#include <glib.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "lib/base/assert.h"

namespace ballast::ctl {
namespace {

// libsmartcols fails only for lack of memory.
void need(bool done) {
  if (!done) {
    throw std::bad_alloc{};
  }
}

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

Table::Table(const std::vector<Column>& columns) : table_{scols_new_table()} {
  bool made = table_ != nullptr && scols_table_set_column_separator(table_.get(), "  ") == 0;
  for (const Column& column : columns) {
    const int flags = column.align == Align::right ? SCOLS_FL_RIGHT : 0;
    made = made && scols_table_new_column(table_.get(), column.title.c_str(), 0, flags) != nullptr;
  }
  // printable() has encoded the cells already. A line that is too long for the terminal wraps as
  // usual.
  made = made && scols_table_enable_noencoding(table_.get(), 1) == 0 &&
         scols_table_set_termforce(table_.get(), SCOLS_TERMFORCE_NEVER) == 0;
  need(made);
}

void Table::add(const std::vector<std::string>& cells) {
  BALLAST_ASSERT(cells.size() == scols_table_get_ncols(table_.get()));
  libscols_line* const line = scols_table_new_line(table_.get(), nullptr);
  need(line != nullptr);
  for (std::size_t column = 0; column < cells.size(); ++column) {
    const std::string& cell = cells[column];
    need(scols_line_set_data(line, column, cell.empty() ? "-" : printable(cell).c_str()) == 0);
  }
}

std::string Table::text() const {
  char* text = nullptr;
  need(scols_print_table_to_string(table_.get(), &text) == 0);
  const std::unique_ptr<char, decltype(&std::free)> owned{text, &std::free};
  return fmt::format("{}\n", text);
}

}  // namespace ballast::ctl
