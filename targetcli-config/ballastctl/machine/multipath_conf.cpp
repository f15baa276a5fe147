// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/multipath_conf.h"

#include <regex.h>

#include <algorithm>
#include <sstream>

namespace ballast::ctl::multipath {
namespace {

// Splits a line as libmultipath/parser.c does: '!' and '#' begin a comment, a text in quotes is one
// word, and braces need no blanks around them.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < line.size();) {
    const char here = line[at];
    if (here == '#' || here == '!') {
      break;
    }
    if (here == '"') {
      const std::size_t end = std::min(line.find('"', at + 1), line.size());
      words.emplace_back(line.substr(at + 1, end - at - 1));
      at = end + 1;
    } else if (here == '{' || here == '}') {
      words.emplace_back(1, here);
      at++;
    } else if (here == ' ' || here == '\t' || here == '\r') {
      at++;
    } else {
      const std::size_t end = std::min(line.find_first_of(" \t\r{}\"#!", at), line.size());
      words.emplace_back(line.substr(at, end - at));
      at = end;
    }
  }
  return words;
}

// Reads up to the end of the section that the words before have opened.
Section read_section(std::istringstream& lines, std::string name) {
  Section section{std::move(name), {}, {}};
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> words = words_of(line);
    if (words.empty()) {
      continue;
    }
    if (words.front() == "}") {
      return section;
    }
    if (words.size() > 1 && words[1] == "{") {
      section.sections.push_back(read_section(lines, words.front()));
    } else {
      section.settings.emplace_back(words.front(), words.size() > 1 ? words[1] : "");
    }
  }
  return section;
}

// Vendor and product are regular expressions, which match a part of the disk's.
bool matches(const std::optional<std::string>& expression, const std::string& text) {
  if (!expression) {
    return true;
  }
  regex_t compiled;
  if (::regcomp(&compiled, expression->c_str(), REG_EXTENDED | REG_NOSUB) != 0) {
    return false;
  }
  const bool found = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return found;
}

bool is_of(const Section& section, const Identity& disk) {
  if (section.name == "multipath") {
    return section.find("wwid") == disk.wwid;
  }
  if (section.name == "device") {
    return section.find("vendor") && matches(section.find("vendor"), disk.vendor) &&
           matches(section.find("product"), disk.product);
  }
  return section.name == "protocol" && section.find("type") == "scsi:iscsi";
}

}  // namespace

std::optional<std::string> Section::find(std::string_view setting) const {
  for (auto each = settings.rbegin(); each != settings.rend(); ++each) {
    if (each->first == setting) {
      return each->second;
    }
  }
  return std::nullopt;
}

Section parse(std::string_view text) {
  std::istringstream lines{std::string{text}};
  return read_section(lines, "");
}

std::optional<std::string> said_of(const Section& configuration, const Identity& disk,
                                   std::string_view setting) {
  for (const std::string_view kind : {"multipaths", "overrides", "devices"}) {
    std::optional<std::string> value;
    for (const Section& section : configuration.sections) {
      if (section.name != kind) {
        continue;
      }
      if (kind == "overrides" && section.find(setting)) {
        value = section.find(setting);
      }
      for (const Section& inner : section.sections) {
        if (inner.find(setting) && is_of(inner, disk)) {
          value = inner.find(setting);
        }
      }
    }
    if (value) {
      return value;
    }
  }
  return std::nullopt;
}

std::optional<std::string> value_for(const Section& configuration, const Identity& disk,
                                     std::string_view setting) {
  std::optional<std::string> value = said_of(configuration, disk, setting);
  for (const Section& section : configuration.sections) {
    if (section.name == "defaults" && !value) {
      value = section.find(setting);
    }
  }
  return value;
}

}  // namespace ballast::ctl::multipath
