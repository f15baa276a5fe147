// SPDX-License-Identifier: Apache-2.0
// Compares docs/configuration.md and ballast-config(5) with the table of keys and the parser's
// messages.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "lib/lun/config.h"
#include "tests/cmocka.h"

namespace {

using namespace ballast;
using namespace ballast::lun;

constexpr const char* document = "docs/configuration.md";
constexpr const char* manual = "targetcli-config/man/ballast-config.5";

std::string refusal(std::string_view text) {
  const Result<LunConfig> config = parse(text);
  return config ? "accepted" : config.error().message;
}

std::vector<std::string> lines_of(const char* path) {
  std::ifstream file{path};
  assert_true(file.is_open());
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
  }
  return lines;
}

// The table of docs/configuration.md, row by row: name, values, default; without its backticks.
std::vector<std::string> keys_of_the_document() {
  std::vector<std::string> rows;
  bool in_table = false;
  for (std::string line : lines_of(document)) {
    std::erase(line, '`');
    if (line.starts_with("| key |")) {
      in_table = true;
    } else if (in_table && line.starts_with("| ---")) {
      continue;
    } else if (in_table && line.starts_with("| ")) {
      std::size_t end = 0;
      for (int cell = 0; cell < 3; ++cell) {
        end = line.find(" |", end + 1);
      }
      rows.push_back(line.substr(2, end - 2));
    } else {
      in_table = false;
    }
  }
  return rows;
}

// What stands between the lines `from` and `to` of the manual.
std::vector<std::string> part_of_the_manual(std::string_view from, std::string_view to) {
  const std::vector<std::string> lines = lines_of(manual);
  const auto begin = std::find(lines.begin(), lines.end(), from);
  const auto end = std::find(begin, lines.end(), to);
  assert_true(end != lines.end());
  return {begin + 1, end};
}

// The table of ballast-config(5): name, values, default, live.
std::vector<std::string> keys_of_the_manual() {
  std::vector<std::string> rows;
  for (std::string line :
       part_of_the_manual(".It Sy key Ta Sy values Ta Sy default Ta Sy live", ".El")) {
    assert_true(line.starts_with(".It "));
    line.erase(0, 4);
    for (std::size_t at = line.find(" Ta "); at != std::string::npos; at = line.find(" Ta ")) {
      line.replace(at, 4, " | ");
    }
    rows.push_back(line);
  }
  return rows;
}

void print_missing(const char* what, std::vector<std::string> from, std::vector<std::string> in) {
  std::sort(from.begin(), from.end());
  std::sort(in.begin(), in.end());
  std::vector<std::string> missing;
  std::set_difference(from.begin(), from.end(), in.begin(), in.end(), std::back_inserter(missing));
  for (const std::string& row : missing) {
    print_error("%s: %s\n", what, row.c_str());
  }
}

void expect_same(const std::vector<std::string>& keys, const std::vector<std::string>& documented) {
  print_missing("it has no row", keys, documented);
  print_missing("no key is so", documented, keys);
  assert_true(std::is_permutation(keys.begin(), keys.end(), documented.begin(), documented.end()));
}

void the_document_has_every_key(void**) {
  std::vector<std::string> keys;
  for (const KeyText& key : describe_keys()) {
    keys.push_back(std::string{key.name} + " | " + key.values + " | " + key.usual);
  }
  expect_same(keys, keys_of_the_document());
}

void the_document_says_which_keys_are_live(void**) {
  std::string text;
  for (const std::string& line : lines_of(document)) {
    text += line + " ";
  }
  std::erase(text, '`');
  const std::string sentence = live_keys() + " change while the LUN is in use";
  if (text.find(sentence) == std::string::npos) {
    print_error("%s does not say: %s\n", document, sentence.c_str());
    assert_true(false);
  }
}

void the_document_and_the_manual_have_every_kind(void**) {
  for (const backend::Kind& kind : backend::kinds()) {
    const std::string row = "| `" + std::string{kind.example} + "` |";
    const std::vector<std::string> lines = lines_of(document);
    assert_true(std::any_of(lines.begin(), lines.end(),
                            [&](const std::string& line) { return line.starts_with(row); }));
    const std::string item = ".It Cm " + std::string{kind.name};
    const std::vector<std::string> text = lines_of(manual);
    assert_true(std::any_of(text.begin(), text.end(),
                            [&](const std::string& line) { return line.starts_with(item); }));
  }
}

void the_manual_has_every_key(void**) {
  std::vector<std::string> keys;
  for (const KeyText& key : describe_keys()) {
    const std::string name{key.name};
    keys.push_back(name + " | " + key.values + " | " + key.usual + (key.live ? " | yes" : " | no"));
    const std::vector<std::string> lines = lines_of(manual);
    if (std::find(lines.begin(), lines.end(), ".It Cm " + name) == lines.end()) {
      print_error("%s does not say what %s is for\n", manual, name.c_str());
      assert_true(false);
    }
  }
  expect_same(keys, keys_of_the_manual());
}

void the_manuals_examples_are_accepted(void**) {
  std::size_t count = 0;
  for (const std::string& line : part_of_the_manual(".Sh EXAMPLES", ".El")) {
    if (line.starts_with(".It Li ")) {
      ++count;
      assert_string_equal(refusal(line.substr(7)).c_str(), "accepted");
    }
  }
  assert_true(count > 0);
}

void the_manuals_mistakes_have_these_messages(void**) {
  const std::vector<std::string> lines = part_of_the_manual(".Sh DIAGNOSTICS", ".El");
  std::size_t count = 0;
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    if (lines[i].starts_with(".It Li ")) {
      ++count;
      assert_string_equal(refusal(lines[i].substr(7)).c_str(), lines[i + 1].c_str());
    }
  }
  assert_true(count > 0);
}

void the_documents_say_how_long_a_string_may_be(void**) {
  const std::string wanted = "at most " + std::to_string(longest_string) + " characters";
  for (const char* const path : {document, manual, "targetcli-config/man/ballast.conf.5"}) {
    const std::vector<std::string> lines = lines_of(path);
    const auto has_it = [&](const std::string& line) {
      return line.find(wanted) != std::string::npos;
    };
    if (std::none_of(lines.begin(), lines.end(), has_it)) {
      print_error("%s does not say \"%s\"\n", path, wanted.c_str());
      assert_true(false);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_document_has_every_key),
      cmocka_unit_test(the_document_says_which_keys_are_live),
      cmocka_unit_test(the_document_and_the_manual_have_every_kind),
      cmocka_unit_test(the_manual_has_every_key),
      cmocka_unit_test(the_manuals_examples_are_accepted),
      cmocka_unit_test(the_manuals_mistakes_have_these_messages),
      cmocka_unit_test(the_documents_say_how_long_a_string_may_be),
  };
  return cmocka_run_group_tests_name("config_manual", tests, nullptr, nullptr);
}
