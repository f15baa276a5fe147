// SPDX-License-Identifier: Apache-2.0
// How ballastctl speaks: aligned tables, numbers with units, errors, and the --json flag.
//
// The text functions are pure; fail() and finish_output() know of the process. Single-threaded.
#pragma once

#include <libsmartcols/libsmartcols.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ballast::ctl {

enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,
  exit_usage = 2,
};

// Says "ballastctl: <message>" on standard error and ends the run with exit_failed (by
// CLI::RuntimeError, which main() catches). `message`: one sentence, no newline, what to do in it.
[[noreturn]] void fail(std::string_view message);

// Flushes standard output; false, and a line on standard error, if not all of it could be written.
bool finish_output();

// --json, in one wording for all subcommands. `wanted` lives as long as the App.
void add_json_flag(CLI::App& command, bool& wanted);

// "512 B", "4 KiB", "1.5 GiB": the largest unit that leaves at least 1, one decimal place at most.
std::string bytes_text(std::uint64_t bytes);

// "0 s", "850 ns", "73 us", "4.2 ms", "1.3 s", "2 min 5 s", "3 h 12 min", "4 d 6 h".
std::string duration_text(std::uint64_t nanoseconds);

// For a terminal: control characters and others that show nothing, and what is not UTF-8, as \xNN.
std::string printable(std::string_view text);

// libsmartcols' table: columns as wide as their widest cell, two blanks apart, no blank at a line's
// end, nothing cut off. Cells are made printable; an empty one is shown as "-". Widths are right
// where LC_CTYPE is UTF-8 (main() sets it).
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  explicit Table(const std::vector<Column>& columns);

  // As many cells as there are columns.
  void add(const std::vector<std::string>& cells);
  bool empty() const { return scols_table_is_empty(table_.get()) != 0; }
  // Title line and rows, a newline after each.
  std::string text() const;

 private:
  struct Release {
    void operator()(libscols_table* table) const noexcept { scols_unref_table(table); }
  };
  std::unique_ptr<libscols_table, Release> table_;
};

}  // namespace ballast::ctl
