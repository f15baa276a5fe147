// SPDX-License-Identifier: Apache-2.0
// The output of ballastctl: aligned tables, numbers with units, errors, and the --json flag.
//
// The text functions are pure; fail() and finish_output() use the process's streams.
// Single-threaded.
#pragma once

#include <libsmartcols/libsmartcols.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.h"

namespace ballast::ctl {

enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,
  exit_usage = 2,
};

// Prints "ballastctl: <message>" on standard error and ends the run with exit_failed: it throws
// CLI::RuntimeError, which main() catches. `message`: one sentence without a newline, which says
// what to do.
[[noreturn]] void fail(std::string_view message);

// What `result` has; its error ends in fail().
template <class T>
T or_fail(Result<T> result) {
  if (!result.ok()) {
    fail(result.error().message);
  }
  return std::move(result).value();
}

// Flushes standard output. Returns false, and prints a line on standard error, if not all of it
// could be written.
bool finish_output();

// Adds --json, in the same words for all subcommands. `wanted` must live as long as the App.
void add_json_flag(CLI::App& command, bool& wanted);

// "512 B", "4 KiB", "1.5 GiB": the largest unit of which there is at least 1, with at most one
// decimal place.
std::string bytes_text(std::uint64_t bytes);

// "0 s", "850 ns", "73 us", "4.2 ms", "1.3 s", "2 min 5 s", "3 h 12 min", "4 d 6 h".
std::string duration_text(std::uint64_t nanoseconds);

// Makes text safe for a terminal: characters that cannot be printed, and bytes that are not UTF-8,
// become \xNN.
std::string printable(std::string_view text);

// A table of libsmartcols. A column is as wide as its widest cell, and two blanks separate columns.
// No line ends with blanks, and nothing is cut off. Cells are made printable; an empty cell is
// shown as "-". The widths are right only if LC_CTYPE is UTF-8, which main() sets.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  explicit Table(const std::vector<Column>& columns);

  // Adds a row. `cells`: one for each column.
  void add(const std::vector<std::string>& cells);
  bool empty() const { return scols_table_is_empty(table_.get()) != 0; }
  // The line of titles and the rows, each with a newline.
  std::string text() const;

 private:
  struct Release {
    void operator()(libscols_table* table) const noexcept { scols_unref_table(table); }
  };
  std::unique_ptr<libscols_table, Release> table_;
};

}  // namespace ballast::ctl
