// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/report/secrets.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <set>
#include <string>

#include "lib/base/saved_configuration.h"
#include "targetcli-config/ballastctl/report/walk.h"

namespace ballast::ctl::report {
namespace {

using Json = nlohmann::ordered_json;

// iSCSI wants CHAP secrets of 12 bytes at least (RFC 7143, 9.2.1), and LIO does not insist.
constexpr std::size_t shortest_blotted = 6;

std::string in_small_letters(std::string_view text) {
  std::string small{text};
  std::ranges::transform(small, small.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return small;
}

bool has_any(std::string_view text, std::initializer_list<std::string_view> words) {
  const std::string small = in_small_letters(text);
  return std::ranges::any_of(
      words, [&](std::string_view word) { return small.find(word) != std::string::npos; });
}

bool is_password(std::string_view name) {
  return has_any(name, {"password", "passwd", "secret"});
}

void collect(const Json& json, std::set<std::string>& into) {
  for (const auto& [name, value] : json.items()) {
    if (value.is_structured()) {
      collect(value, into);
    } else if (json.is_object() && is_password(name) && value.is_string()) {
      into.insert(value.get<std::string>());
    }
  }
}

}  // namespace

bool is_secret(std::string_view name) {
  return is_password(name) || has_any(name, {"userid", "username", "chap", "auth"});
}

bool is_folder_of_secrets(std::string_view name) {
  return name == "auth" || name == "discovery_auth";
}

std::size_t remove_secrets(Json& json) {
  std::size_t removed = 0;
  if (json.is_object()) {
    for (auto each = json.begin(); each != json.end();) {
      if (is_secret(each.key())) {
        each = json.erase(each);
        ++removed;
      } else {
        ++each;
      }
    }
  }
  if (json.is_structured()) {
    for (Json& value : json) {
      removed += remove_secrets(value);
    }
  }
  return removed;
}

std::vector<std::string> passwords_of(const Files& files) {
  std::set<std::string> all;
  for (const char* const path : saved_configuration_files) {
    collect(Json::parse(files.read(path).value_or(""), nullptr, false), all);
  }
  walk(
      files, "/sys/kernel/config/target/iscsi", [](const std::string&) { return true; },
      [&](const std::string& path, const std::string& name) {
        if (is_password(name)) {
          all.insert(files.value(path).value_or(""));
        }
      });
  return {all.begin(), all.end()};
}

void blot_out(const std::vector<std::string>& passwords, std::string& text) {
  constexpr std::string_view instead = "[removed]";
  for (const std::string& password : passwords) {
    if (password.size() < shortest_blotted) {
      continue;
    }
    for (std::size_t at = text.find(password); at != std::string::npos;
         at = text.find(password, at + instead.size())) {
      text.replace(at, password.size(), instead);
    }
  }
}

std::size_t remove_lines_about_secrets(std::string& text) {
  std::string kept;
  std::size_t removed = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    const std::string_view line = std::string_view{text}.substr(begin, end - begin);
    begin = end;
    if (is_password(line) || has_any(line, {"userid", "username", "chap"})) {
      ++removed;
    } else {
      kept += line;
    }
  }
  text = std::move(kept);
  return removed;
}

}  // namespace ballast::ctl::report
