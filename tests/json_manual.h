// SPDX-License-Identifier: Apache-2.0
// For tests that compare a document with ballast-json(5), the manual of what ballastctl prints.
#pragma once

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "tests/cmocka.h"

namespace ballast::test {

using Names = std::set<std::string>;

// The names of all members, at every depth.
template <typename Json>
void collect_members(const Json& value, Names& names) {
  for (const auto& item : value.items()) {
    if (value.is_object()) {
      names.insert(item.key());
    }
    if (item.value().is_structured()) {
      collect_members(item.value(), names);
    }
  }
}

// The names that the manual has below a heading of .Sh or .Ss, up to the next one.
inline Names names_below(const std::string& heading) {
  std::ifstream file{"targetcli-config/man/ballast-json.5"};
  assert_true(file.is_open());
  Names names;
  bool found = false;
  bool is_below = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(".Sh ") || line.starts_with(".Ss ")) {
      is_below = line.substr(4) == heading;
      found = found || is_below;
    } else if (is_below && (line.starts_with(".Va ") || line.starts_with(".It Va "))) {
      std::istringstream words{line.substr(line.find("Va ") + 3)};
      for (std::string word; words >> word;) {
        if (word != "," && word != ":" && word != ";" && word != ".") {
          names.insert(word);
        }
      }
    }
  }
  if (!found) {
    print_error("ballast-json(5) has no heading \"%s\"\n", heading.c_str());
  }
  assert_true(found);
  return names;
}

inline Names names_below(std::initializer_list<std::string> headings) {
  Names names;
  for (const std::string& heading : headings) {
    names.merge(names_below(heading));
  }
  return names;
}

inline void expect_none(const Names& from, const Names& in, const char* complaint) {
  Names missing;
  std::ranges::set_difference(from, in, std::inserter(missing, missing.end()));
  for (const std::string& name : missing) {
    print_error("%s: %s\n", complaint, name.c_str());
  }
  assert_true(missing.empty());
}

// The manual has every member of the document below one of the headings.
template <typename Json>
void expect_in_manual(const Json& document, std::initializer_list<std::string> headings) {
  Names members;
  collect_members(document, members);
  expect_none(members, names_below(headings), "ballast-json(5) does not name");
}

// The same, and the manual has no other below them.
template <typename Json>
void expect_as_in_manual(const Json& document, std::initializer_list<std::string> headings) {
  expect_in_manual(document, headings);
  Names members;
  collect_members(document, members);
  expect_none(names_below(headings), members, "no member is so as in ballast-json(5)");
}

}  // namespace ballast::test
