// SPDX-License-Identifier: Apache-2.0
// Aligned tables (libsmartcols), with the columns that the reader chose and no wider than the
// terminal.
//
// terminal_width() looks at the process's standard output; all else is pure. Single-threaded.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "targetcli-config/ballastctl/cli_fwd.h"

namespace ballast::ctl {

// How the reader wants tables.
struct View {
  std::vector<std::string> columns;  // titles in their order; empty: the usual ones
  std::optional<std::size_t> width;  // of the terminal; nullopt: as wide as the cells are
};

// The width in the environment variable COLUMNS, else that of the terminal on standard output;
// nullopt if that is no terminal, since programs want each row on one line.
std::optional<std::size_t> terminal_width();

// A column is as wide as its widest cell, and two blanks separate columns. No line ends with
// blanks, and no cell is cut off. Where the view is too narrow, cells of columns that wrap go on in
// the next line; where that is not enough, columns are left out that need room. Cells are made
// printable; an empty cell is shown as "-". main() sets LC_CTYPE to C.UTF-8; where there is no such
// locale, all but ASCII becomes \xNN.
class Table {
 public:
  enum class Align { left, right, wrap };  // wrap: left, and may be made narrower
  enum class Show {
    usual,       // unless the reader chose others
    if_room,     // the same, but not where the terminal is narrow
    on_request,  // if the reader chose it
  };
  struct Column {
    std::string title;  // without a blank in it, because -o takes it
    Align align = Align::left;
    Show show = Show::usual;
  };
  using Columns = std::vector<Column>;
  explicit Table(Columns columns) : columns_{std::move(columns)} {}

  // Adds a row. `cells`: one for each column, those that are not shown too.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // The line of titles and the rows, each with a newline; empty if the reader chose none of the
  // columns.
  std::string text(const View& view, std::string_view indent = "") const;

 private:
  std::vector<std::size_t> shown(const View& view) const;
  // The width of each of the columns, so that the table is as wide as the view if that is possible.
  std::vector<std::size_t> widths(const std::vector<std::size_t>& columns, const View& view) const;

  Columns columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Adds -o. `chosen` must live as long as the App. A title that is not among `columns` is wrong use.
void add_columns_option(CLI::App& command, const Table::Columns& columns,
                        std::vector<std::string>& chosen);

}  // namespace ballast::ctl
