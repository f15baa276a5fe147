// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/text/output.h"

#include <algorithm>
#include <clocale>
#include <cstdlib>

#include "targetcli-config/ballastctl/text/table.h"
#include "tests/cmocka.h"

using namespace ballast::ctl;

namespace {

void says(const std::string& text, const char* wanted) {
  assert_string_equal(text.c_str(), wanted);
}

void bytes_have_the_largest_unit_that_fits(void**) {
  says(bytes_text(0), "0 B");
  says(bytes_text(1023), "1023 B");
  says(bytes_text(4096), "4 KiB");
  says(bytes_text(1536), "1.5 KiB");
  says(bytes_text(std::uint64_t{3} << 29), "1.5 GiB");
  says(bytes_text((std::uint64_t{1} << 40) - 1), "1023 GiB");
  says(bytes_text(~std::uint64_t{0}), "15.9 EiB");
}

void durations_have_at_most_two_units(void**) {
  says(duration_text(0), "0 s");
  says(duration_text(850), "850 ns");
  says(duration_text(73'000), "73 us");
  says(duration_text(4'250'000), "4.2 ms");
  says(duration_text(999'999'999), "999 ms");
  says(duration_text(1'300'000'000), "1.3 s");
  says(duration_text(59'999'999'999), "59.9 s");
  says(duration_text(60'000'000'000), "1 min");
  says(duration_text(125'000'000'000), "2 min 5 s");
  says(duration_text(11'520'000'000'000), "3 h 12 min");
  says(duration_text(367'200'000'000'000), "4 d 6 h");
}

void a_terminal_sees_no_control_character(void**) {
  says(printable("vol0"), "vol0");
  says(printable("Übersee €"), "Übersee €");
  says(printable("\x1b[31m\n\x7f"), "\\x1b[31m\\x0a\\x7f");
  says(printable("\xc2\x9b"), "\\xc2\\x9b");           // C1: what some terminals take for ESC [
  says(printable("\xff\xc0\xaf"), "\\xff\\xc0\\xaf");  // not UTF-8
  says(printable("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");  // overlong
  says(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  says(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // past the last character
  says(printable("\xe2\x82"), "\\xe2\\x82");                    // cut off
  says(printable("\xe2\x80\xae"), "\\xe2\\x80\\xae");           // turns the rest of a line round
  says(printable(std::string_view{"a\0b", 3}), "a\\x00b");
}

void columns_are_as_wide_as_their_widest_cell(void**) {
  Table table{{{"LUN"}, {"SIZE", Table::Align::right}, {"NOTE"}}};
  table.add({"volume", "1 B", ""});
  table.add({"ü", "1023 KiB", "long note"});
  says(table.text({}),
       "LUN         SIZE  NOTE\n"
       "volume       1 B  -\n"
       "ü       1023 KiB  long note\n");
}

void a_cell_is_neither_cut_off_nor_obeyed(void**) {
  const std::string longest(500, 'x');
  Table table{{{"NOTE"}, {"SIZE", Table::Align::right}}};
  assert_true(table.empty());
  table.add({longest, ""});
  table.add({"\x1b[31m\n\xff", "1"});
  assert_false(table.empty());
  says(table.text({}, "  "), ("  NOTE" + std::string(496, ' ') + "  SIZE\n  " + longest +
                              "     -\n  \\x1b[31m\\x0a\\xff" + std::string(484, ' ') + "     1\n")
                                 .c_str());
}

// libsmartcols would never end.
void without_the_locale_a_cell_is_ascii(void**) {
  const std::string usual = std::setlocale(LC_CTYPE, nullptr);
  assert_non_null(std::setlocale(LC_CTYPE, "C"));
  Table table{{{"LUN"}, {"STATE"}}};
  table.add({"grün", "ok"});
  says(table.text({}), "LUN          STATE\ngr\\xc3\\xbcn  ok\n");
  assert_non_null(std::setlocale(LC_CTYPE, usual.c_str()));
}

void the_reader_chooses_columns_and_their_order(void**) {
  Table table{{{"LUN"}, {"SIZE", Table::Align::right, Table::Show::on_request}, {"NOTE"}}};
  table.add({"vol0", "1 B", "good"});
  says(table.text({}), "LUN   NOTE\nvol0  good\n");
  says(table.text({{"SIZE", "LUN"}, {}}), "SIZE  LUN\n 1 B  vol0\n");
  says(table.text({{"MEANING"}, {}}), "");
}

void a_narrow_terminal_wraps_and_cuts_nothing_off(void**) {
  Table table{{{"LUN"}, {"NOTE", Table::Align::wrap}, {"END"}}};
  table.add({"vol0", std::string(40, 'x') + std::string(25, 'y'), "z"});
  const std::string text = table.text({{}, 40});
  std::size_t xs = 0, ys = 0, widest = 0, width = 0;
  for (const char c : text) {
    xs += c == 'x' ? 1U : 0U;
    ys += c == 'y' ? 1U : 0U;
    width = c == '\n' ? 0 : width + 1;
    widest = std::max(widest, width);
  }
  assert_int_equal(xs, 40);
  assert_int_equal(ys, 25);
  assert_in_range(widest, 30, 40);
}

void a_cell_wraps_behind_its_parts(void**) {
  Table table{{{"LUN"}, {"CONFIGURATION", Table::Align::wrap}}};
  table.add({"vol0", "file=/srv/volumes/vol0.raw; a word"});
  says(table.text({{}, 20}),
       "LUN   CONFIGURATION\n"
       "vol0  file=/srv/\n"
       "      volumes/vol0.\n"
       "      raw; a word\n");
}

void a_column_that_needs_room_is_left_out_where_there_is_none(void**) {
  Table table{{{"LUN"}, {"SIZE", Table::Align::right, Table::Show::if_room}, {"NOTE"}}};
  table.add({"vol0", "1 B", "good"});
  says(table.text({{}, 16}), "LUN   SIZE  NOTE\nvol0   1 B  good\n");
  says(table.text({{}, 15}), "LUN   NOTE\nvol0  good\n");
  says(table.text({{"LUN", "SIZE"}, 5}), "LUN   SIZE\nvol0   1 B\n");
}

void columns_tells_the_width_of_the_terminal(void**) {
  assert_int_equal(::setenv("COLUMNS", "77", 1), 0);
  assert_int_equal(terminal_width().value_or(0), 77);
  for (const char* const nonsense : {"", "x", "-1", "0"}) {
    assert_int_equal(::setenv("COLUMNS", nonsense, 1), 0);
    assert_true(terminal_width() != 77);
  }
}

}  // namespace

int main() {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  const CMUnitTest tests[] = {
      cmocka_unit_test(bytes_have_the_largest_unit_that_fits),
      cmocka_unit_test(durations_have_at_most_two_units),
      cmocka_unit_test(a_terminal_sees_no_control_character),
      cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
      cmocka_unit_test(a_cell_is_neither_cut_off_nor_obeyed),
      cmocka_unit_test(without_the_locale_a_cell_is_ascii),
      cmocka_unit_test(the_reader_chooses_columns_and_their_order),
      cmocka_unit_test(a_narrow_terminal_wraps_and_cuts_nothing_off),
      cmocka_unit_test(a_cell_wraps_behind_its_parts),
      cmocka_unit_test(a_column_that_needs_room_is_left_out_where_there_is_none),
      cmocka_unit_test(columns_tells_the_width_of_the_terminal),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
