// SPDX-License-Identifier: Apache-2.0
// ballastctl set, on a LUN whose configuration string, /etc/ballast/ballast.conf and new settings
// are any bytes: the first line is the string, the next two lines are settings, and the rest is the
// file. The string gets the new settings, and keeps all others; unless they are wrong, or an
// open LUN could not take them: then it stays as it was.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/values.h"
#include "lib/lun/config.h"
#include "targetcli-config/ballastctl/commands.h"
#include "tests/fuzz/machine.h"

using namespace ballast;
using namespace ballast::ctl;

namespace {

constexpr const char* dev_config = "/sys/kernel/config/target/core/user_0/vol0/attrib/dev_config";

const test::Machine& machine() {
  static const test::Machine all;
  static const bool known = ::setenv("BALLASTCTL_ROOT", all.root().c_str(), 1) == 0;
  test::check(known, "no environment");
  return all;
}

// Whether ballastctl says that it has done it.
bool set(const std::vector<std::string>& assignments) {
  const test::Quiet quiet;
  CLI::App app;
  add_set(app);
  std::vector<std::string> words{"set", "vol0", "--"};
  words.insert(words.end(), assignments.begin(), assignments.end());
  std::ranges::reverse(words);  // as App::parse wants them
  try {
    app.parse(words);
  } catch (const CLI::Error&) {
    return false;
  }
  return true;
}

// Takes the first line off.
std::string line_of(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string line{text.substr(0, end)};
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

// The string that the kernel has, as ballastctl reads it.
std::string string_now() {
  std::string text = machine().read(dev_config);
  if (text.ends_with('\n')) {
    text.pop_back();
  }
  test::check(text.starts_with(lun::daemon_prefix), "the handler's name is lost", text);
  return text.substr(lun::daemon_prefix.size());
}

// The string with the new settings behind all others, however long it is.
std::string with(std::string_view text, const std::vector<std::string>& assignments) {
  std::map<std::string_view, std::string_view> wanted;
  for (const std::string_view each : assignments) {
    wanted[each.substr(0, each.find('='))] = each;
  }
  const std::vector<std::string_view> parts = config::split(text, ';');
  std::string changed{parts.front()};
  for (const std::string_view part : std::span{parts}.subspan(1)) {
    if (!part.empty() && !wanted.contains(part.substr(0, part.find('=')))) {
      changed.append(";").append(part);
    }
  }
  for (const auto& [key, assignment] : wanted) {
    if (assignment.size() > key.size() + 1) {
      changed.append(";").append(assignment);
    }
  }
  return changed;
}

// What the string should say then; nothing if the settings are to be refused.
std::optional<lun::LunConfig> expected(const std::string& before,
                                       const std::vector<std::string>& assignments,
                                       const lun::Profiles& profiles) {
  const auto is_setting = [](const std::string& text) {
    const std::size_t equals = text.find('=');
    return equals != std::string::npos && equals > 0 && text.find(';') == std::string::npos;
  };
  const Result<lun::LunConfig> old = lun::parse(before, profiles);
  const Result<lun::LunConfig> now = lun::parse(with(before, assignments), profiles);
  const bool possible = std::ranges::all_of(assignments, is_setting) && old.ok() && now.ok() &&
                        lun::with_live_settings(old.value(), now.value()) == now.value();
  return possible ? std::optional{now.value()} : std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  std::string_view left{reinterpret_cast<const char*>(input), size};
  const std::string before = line_of(left);
  std::vector<std::string> assignments{line_of(left)};
  if (std::string second = line_of(left); !second.empty()) {
    assignments.push_back(std::move(second));
  }
  // CLI11 makes a list of these, so main() refuses them.
  if (std::ranges::any_of(assignments, [](const std::string& each) {
        return each.starts_with('[') && each.ends_with(']');
      })) {
    return 0;
  }
  // ballastctl takes blanks off the ends of what it reads in configfs.
  constexpr std::string_view blanks = " \t\r";
  if (before.empty() || blanks.find(before.front()) != std::string_view::npos ||
      blanks.find(before.back()) != std::string_view::npos) {
    return 0;
  }
  machine().write(dev_config, std::string{lun::daemon_prefix} + before + "\n");
  machine().write("/etc/ballast/ballast.conf", left);
  const Result<lun::Profiles> profiles =
      lun::Profiles::read(machine().real("/etc/ballast/ballast.conf"));
  const std::optional<lun::LunConfig> wanted =
      profiles ? expected(before, assignments, profiles.value()) : std::nullopt;
  const bool done = set(assignments);
  const std::string after = string_now();
  test::check(done == wanted.has_value(), "wrongly done, or wrongly refused", after);
  if (!done) {
    test::check(after == before, "it failed, and has changed something", after);
    return 0;
  }
  const Result<lun::LunConfig> now = lun::parse(after, profiles.value());
  test::check(now.ok() && now.value() == *wanted, "it has become another configuration", after);
  test::check(set(assignments) && string_now() == after, "the same once more changes it", after);
  return 0;
}
