// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/text/table.h"

#include <fmt/format.h>
#include <glib.h>
#include <langinfo.h>
#include <libsmartcols/libsmartcols.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <new>
#include <string_view>

#include "lib/base/assert.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

constexpr std::string_view separator = "  ";

struct Release {
  void operator()(libscols_table* table) const noexcept { scols_unref_table(table); }
  void operator()(char* text) const noexcept { std::free(text); }
};

// libsmartcols fails only for lack of memory.
void need(bool done) {
  if (!done) {
    throw std::bad_alloc{};
  }
}

std::string upper(std::string_view text) {
  std::string all{text};
  std::transform(all.begin(), all.end(), all.begin(), [](char c) { return g_ascii_toupper(c); });
  return all;
}

std::string titles(const Table::Columns& columns) {
  std::string text;
  for (const Table::Column& column : columns) {
    text += (text.empty() ? "" : ",") + column.title;
  }
  return text;
}

// libsmartcols never ends with text that is not of the process's locale. Where there is no C.UTF-8,
// main() could not set it.
std::string without_foreign_bytes(const std::string& text) {
  if (std::string_view{::nl_langinfo(CODESET)} == "UTF-8") {
    return text;
  }
  std::string ascii;
  for (const char byte : text) {
    ascii += g_ascii_isprint(byte) != FALSE
                 ? std::string(1, byte)
                 : fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
  }
  return ascii;
}

std::string cell_text(const std::string& cell) {
  return cell.empty() ? "-" : without_foreign_bytes(printable(cell));
}

std::size_t width_of(gunichar character) {
  return g_unichar_iszerowidth(character) != FALSE ? 0
         : g_unichar_iswide(character) != FALSE    ? 2
                                                   : 1;
}

// `text` is valid UTF-8.
std::size_t width_of(const std::string& text) {
  std::size_t width = 0;
  for (const char* at = text.c_str(); *at != '\0'; at = g_utf8_next_char(at)) {
    width += width_of(g_utf8_get_char(at));
  }
  return width;
}

// Breaks valid UTF-8 into lines, behind a blank or one of the signs that separate the parts of
// paths, IQNs and lists; where there is none, anywhere.
std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  constexpr std::string_view breaks_behind = " ,;:/.";
  std::vector<std::string> lines;
  std::string line;
  for (const char* at = text.c_str(); *at != '\0'; at = g_utf8_next_char(at)) {
    if (!line.empty() && width_of(line) + width_of(g_utf8_get_char(at)) > width) {
      const std::size_t found = *at == ' ' ? line.size() - 1 : line.find_last_of(breaks_behind);
      const std::size_t end = found == std::string::npos ? line.size() : found + 1;
      lines.push_back(line.substr(0, end));
      line.erase(0, end);
    }
    if (!line.empty() || *at != ' ' || lines.empty()) {
      line.append(at, static_cast<std::size_t>(g_utf8_next_char(at) - at));
    }
  }
  lines.push_back(line);
  return lines;
}

// Cells may have several lines. Adds as many rows as the longest has.
void add_row(libscols_table* table, const std::vector<std::vector<std::string>>& cells) {
  std::size_t lines = 0;
  for (const std::vector<std::string>& cell : cells) {
    lines = std::max(lines, cell.size());
  }
  for (std::size_t i = 0; i < lines; ++i) {
    libscols_line* const line = scols_table_new_line(table, nullptr);
    need(line != nullptr);
    for (std::size_t column = 0; column < cells.size(); ++column) {
      const char* const text = i < cells[column].size() ? cells[column][i].c_str() : "";
      need(scols_line_set_data(line, column, text) == 0);
    }
  }
}

std::string without_blanks_at_line_ends(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    shown += line.substr(0, line.find_last_not_of(' ') + 1);
    shown += '\n';
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return shown;
}

}  // namespace

std::optional<std::size_t> terminal_width() {
  constexpr std::uint64_t widest = 10'000;
  guint64 columns = 0;
  const char* const told = std::getenv("COLUMNS");
  if (told != nullptr && g_ascii_string_to_unsigned(told, 10, 1, widest, &columns, nullptr) != 0) {
    return columns;
  }
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 1 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
      size.ws_col > 0) {
    return size.ws_col;
  }
  return std::nullopt;
}

void Table::add(std::vector<std::string> cells) {
  BALLAST_ASSERT(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::vector<std::size_t> Table::shown(const View& view) const {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; view.columns.empty() && i < columns_.size(); ++i) {
    if (columns_[i].show != Show::on_request) {
      all.push_back(i);
    }
  }
  for (const std::string& title : view.columns) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].title == title) {
        all.push_back(i);
      }
    }
  }
  return all;
}

std::vector<std::size_t> Table::widths(const std::vector<std::size_t>& columns,
                                       const View& view) const {
  constexpr std::size_t narrowest = 10;  // of a column that wraps
  std::vector<std::size_t> widths;
  std::size_t total = separator.size() * (columns.size() - 1);
  for (const std::size_t i : columns) {
    std::size_t width = width_of(columns_[i].title);
    for (const std::vector<std::string>& row : rows_) {
      width = std::max(width, width_of(cell_text(row[i])));
    }
    widths.push_back(width);
    total += width;
  }
  while (view.width && total > *view.width) {
    std::size_t* widest = nullptr;
    for (std::size_t place = 0; place < columns.size(); ++place) {
      const Column& column = columns_[columns[place]];
      if (column.align == Align::wrap &&
          widths[place] > std::max(narrowest, width_of(column.title)) &&
          (widest == nullptr || widths[place] > *widest)) {
        widest = &widths[place];
      }
    }
    if (widest == nullptr) {
      break;
    }
    --*widest;
    --total;
  }
  return widths;
}

std::string Table::text(const View& view, std::string_view indent) const {
  std::vector<std::size_t> chosen = shown(view);
  if (chosen.empty()) {
    return {};
  }
  View inner = view;
  if (inner.width) {
    inner.width = *inner.width - std::min(indent.size(), *inner.width);
  }
  const auto is_too_wide = [&] {
    std::size_t total = separator.size() * (chosen.size() - 1);
    for (const std::size_t width : widths(chosen, inner)) {
      total += width;
    }
    return inner.width && total > *inner.width;
  };
  while (view.columns.empty() && is_too_wide()) {
    const auto spare = std::ranges::find_if(chosen.rbegin(), chosen.rend(), [&](std::size_t i) {
      return columns_[i].show == Show::if_room;
    });
    if (spare == chosen.rend()) {
      break;
    }
    chosen.erase(std::next(spare).base());
  }
  const std::vector<std::size_t> width = widths(chosen, inner);
  const std::unique_ptr<libscols_table, Release> table{scols_new_table()};
  // printable() has encoded the cells already, and wrapped() has made them narrow.
  need(table != nullptr && scols_table_set_column_separator(table.get(), separator.data()) == 0 &&
       scols_table_enable_noencoding(table.get(), 1) == 0 &&
       scols_table_set_termforce(table.get(), SCOLS_TERMFORCE_NEVER) == 0);
  for (const std::size_t i : chosen) {
    const int flags = columns_[i].align == Align::right ? SCOLS_FL_RIGHT : 0;
    const std::string title = (i == chosen.front() ? std::string{indent} : "") + columns_[i].title;
    need(scols_table_new_column(table.get(), title.c_str(), 0, flags) != nullptr);
  }
  for (const std::vector<std::string>& row : rows_) {
    std::vector<std::vector<std::string>> cells;
    for (std::size_t place = 0; place < chosen.size(); ++place) {
      const std::string text = cell_text(row[chosen[place]]);
      const bool wraps = inner.width && columns_[chosen[place]].align == Align::wrap;
      cells.push_back(wraps ? wrapped(text, width[place]) : std::vector{text});
    }
    for (std::string& line : cells.front()) {
      line.insert(0, indent);
    }
    add_row(table.get(), cells);
  }
  char* raw = nullptr;
  need(scols_print_table_to_string(table.get(), &raw) == 0);
  const std::unique_ptr<char, Release> text{raw};
  return without_blanks_at_line_ends(text.get());
}

void add_columns_option(CLI::App& command, const Table::Columns& columns,
                        std::vector<std::string>& chosen) {
  command
      .add_option_function<std::string>(
          "-o,--columns",
          [columns, &chosen](const std::string& text) {
            for (const std::string& word : CLI::detail::split(text, ',')) {
              const std::string title = upper(word);
              if (std::ranges::none_of(
                      columns, [&](const Table::Column& each) { return each.title == title; })) {
                throw CLI::ValidationError(fmt::format(
                    "--columns: there is no column \"{}\"; there are {}", word, titles(columns)));
              }
              chosen.push_back(title);
            }
          },
          "the columns to show: " + titles(columns))
      ->type_name("COLUMNS");
}

}  // namespace ballast::ctl
