// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/text/table.h"

#include <fmt/format.h>
#include <glib.h>
#include <libsmartcols/libsmartcols.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
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
    if (columns_[i].usual) {
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

std::string Table::text(const View& view, std::string_view indent) const {
  const std::vector<std::size_t> chosen = shown(view);
  if (chosen.empty()) {
    return {};
  }
  const std::unique_ptr<libscols_table, Release> table{scols_new_table()};
  // printable() has encoded the cells already.
  need(table != nullptr && scols_table_set_column_separator(table.get(), separator.data()) == 0 &&
       scols_table_enable_noencoding(table.get(), 1) == 0);
  need(scols_table_set_termforce(table.get(),
                                 view.width ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER) == 0);
  if (view.width) {
    need(scols_table_set_termwidth(table.get(), *view.width) == 0);
  }
  for (const std::size_t i : chosen) {
    const Column& column = columns_[i];
    const int wraps = view.width ? SCOLS_FL_WRAP : 0;
    const int flags = column.align == Align::right  ? SCOLS_FL_RIGHT
                      : column.align == Align::wrap ? wraps
                                                    : 0;
    const std::string title =
        i == chosen.front() ? std::string{indent} + column.title : column.title;
    need(scols_table_new_column(table.get(), title.c_str(), 0, flags) != nullptr);
  }
  for (const std::vector<std::string>& row : rows_) {
    libscols_line* const line = scols_table_new_line(table.get(), nullptr);
    need(line != nullptr);
    for (std::size_t place = 0; place < chosen.size(); ++place) {
      const std::string& cell = row[chosen[place]];
      const std::string shown = cell.empty() ? "-" : printable(cell);
      need(scols_line_set_data(line, place,
                               (place == 0 ? std::string{indent} + shown : shown).c_str()) == 0);
    }
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
                    "--columns: there is no \"{}\"; there are {}", word, titles(columns)));
              }
              chosen.push_back(title);
            }
          },
          "the columns to show: " + titles(columns))
      ->type_name("COLUMNS");
}

}  // namespace ballast::ctl
