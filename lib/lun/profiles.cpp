// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/profiles.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/property_tree/ini_parser.hpp>
#include <boost/property_tree/ptree.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <utility>

#include "lib/base/unique_fd.h"
#include "lib/base/values.h"

namespace ballast::lun {
namespace {

using config::quote;

constexpr std::size_t largest_file = 64 << 10;
constexpr std::size_t longest_name = 64;
constexpr std::string_view profile_word = "profile ";

Error invalid(const std::string& path, std::string_view why) {
  return Error{EINVAL, fmt::format("{}: {}", path, why)};
}

// The name behind the word "profile"; empty for [defaults].
Result<std::string> name_of(const std::string& section) {
  if (section == "defaults") {
    return std::string{};
  }
  if (!section.starts_with(profile_word)) {
    return Error{EINVAL, fmt::format("there is a section {}; sections are [defaults] and "
                                     "[profile NAME]",
                                     quote("[" + section + "]"))};
  }
  std::string name =
      section.substr(std::min(section.find_first_not_of(' ', profile_word.size()), section.size()));
  if (const Result<void> good = check_profile_name("the name of a profile", name); !good) {
    return good.error();
  }
  return name;
}

}  // namespace

Result<void> check_profile_name(std::string_view what, std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  if (name.empty() || name.size() > longest_name || !std::ranges::all_of(name, fits)) {
    return Error{EINVAL,
                 fmt::format("{} is {}; it must be 1 to {} letters, digits, '-', '_' or '.'", what,
                             quote(name), longest_name)};
  }
  return {};
}

std::string Profile::heading() const {
  return name.empty() ? "[defaults]" : fmt::format("[profile {}]", name);
}

std::string Profiles::usual_path() {
  const char* const instead = std::getenv("BALLAST_CONF");
  return instead != nullptr ? instead : "/etc/ballast/ballast.conf";
}

Result<Profiles> Profiles::read(const std::string& path) {
  const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
  if (fd.get() < 0 && errno == ENOENT) {
    return parse({}, path);
  }
  struct stat status {};
  if (fd.get() < 0 || ::fstat(fd.get(), &status) != 0) {
    return Error{errno, fmt::format("{} cannot be read: {}", path, std::strerror(errno))};
  }
  if (!S_ISREG(status.st_mode)) {
    return invalid(path, "this is no regular file");
  }
  std::string text(largest_file + 1, '\0');
  const ssize_t length = ::read(fd.get(), text.data(), text.size());
  if (length < 0) {
    return Error{errno, fmt::format("{} cannot be read: {}", path, std::strerror(errno))};
  }
  if (static_cast<std::size_t>(length) > largest_file) {
    return invalid(path, "this file is larger than 64 KiB");
  }
  text.resize(static_cast<std::size_t>(length));
  return parse(text, path);
}

Result<Profiles> Profiles::parse(const std::string& text, const std::string& path) {
  boost::property_tree::ptree tree;
  try {
    std::istringstream stream{text};
    boost::property_tree::read_ini(stream, tree);
  } catch (const boost::property_tree::ini_parser_error& error) {
    return invalid(path, fmt::format("line {}: {}", error.line(), error.message()));
  }
  Profiles all;
  all.path_ = path;
  for (const auto& [section, settings] : tree) {
    if (settings.empty()) {
      return invalid(path, fmt::format("{} is in no section: put it below [defaults] or "
                                       "[profile NAME]",
                                       quote(section)));
    }
    Result<std::string> name = name_of(section);
    if (!name) {
      return invalid(path, name.error().message);
    }
    if (all.find(name.value()) != nullptr) {
      return invalid(path, fmt::format("[{}] is there twice: keep one", section));
    }
    Profile profile{.name = std::move(name).value(), .assignments = {}};
    for (const auto& [key, value] : settings) {
      profile.assignments.push_back({.key = key, .value = value.data()});
    }
    all.profiles_.push_back(std::move(profile));
  }
  return all;
}

const Profile* Profiles::find(std::string_view name) const {
  const auto found =
      std::ranges::find_if(profiles_, [name](const Profile& its) { return its.name == name; });
  return found != profiles_.end() ? &*found : nullptr;
}

std::string Profiles::names() const {
  std::string text;
  for (const Profile& profile : profiles_) {
    if (!profile.name.empty()) {
      text += (text.empty() ? "" : ", ") + profile.name;
    }
  }
  return text;
}

}  // namespace ballast::lun
