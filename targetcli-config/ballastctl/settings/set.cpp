// SPDX-License-Identifier: Apache-2.0
// ballastctl set: changes settings of a LUN while it is in use, as writing its configuration string
// to configfs does, but with the other settings left as they are.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/lun/config.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/machine/target.h"
#include "targetcli-config/ballastctl/settings/lun_named.h"
#include "targetcli-config/ballastctl/settings/rows.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

struct Options {
  std::string lun;
  std::vector<std::string> assignments;
  bool json = false;
};

std::string key_of(const std::string& assignment) {
  return assignment.substr(0, assignment.find('='));
}

// The string with `assignment` in it, "deadline=10s", instead of the one for the same key.
// "deadline=" takes the key out.
std::string with(const std::string& configuration, const std::string& assignment) {
  const std::string key = key_of(assignment) + "=";
  std::string changed;
  bool placed = assignment.size() == key.size();
  std::size_t begin = 0;
  for (bool target = true; begin <= configuration.size(); target = false) {
    const std::size_t end = std::min(configuration.find(';', begin), configuration.size());
    std::string part = configuration.substr(begin, end - begin);
    begin = end + 1;
    if (!target && part.starts_with(key)) {
      part = placed ? "" : assignment;
      placed = true;
    }
    if (!part.empty()) {
      changed += (changed.empty() ? "" : ";") + part;
    }
  }
  return placed ? changed : changed + ";" + assignment;
}

// Ends in fail() if the LUN would have to be made anew.
void check_live(const TargetLun& lun, const std::string& wanted, const lun::Profiles& profiles) {
  const lun::LunConfig before = or_fail(lun::parse(lun.configuration, profiles));
  const lun::LunConfig after = or_fail(lun::parse(wanted, profiles));
  if (lun::with_live_settings(before, after) != after) {
    fail(
        fmt::format("nothing was changed: only {} can be changed while a LUN is open; for another "
                    "setting delete the backstore and create it anew (the data stays)",
                    lun::live_keys()));
  }
}

// The settings that were named, and others that have become different with them.
nlohmann::ordered_json changes(const TargetLun& before, const TargetLun& after,
                               const lun::Profiles& profiles, const Options& options) {
  std::map<std::string_view, std::string> old;
  for (const lun::Setting& setting : or_fail(lun::settings(before.configuration, &profiles))) {
    old[setting.name] = setting.value;
  }
  nlohmann::ordered_json settings = nlohmann::ordered_json::array();
  for (const Row& row : rows_of(after, profiles, in_force())) {
    const std::string_view name = row.setting.name;
    const bool named =
        std::ranges::find(options.assignments, name, key_of) != options.assignments.end();
    if (named || old[name] != row.setting.value) {
      nlohmann::ordered_json setting = as_json(row);
      setting["before"] = old[name];
      settings.push_back(std::move(setting));
    }
  }
  return settings;
}

void run(const Options& options) {
  const Files files = Files::of_this_machine();
  const TargetLun lun = luns_named(files, options.lun).front();
  const lun::Profiles shared = or_fail(profiles(files));
  std::string wanted = lun.configuration;
  for (const std::string& assignment : options.assignments) {
    wanted = with(wanted, assignment);
  }
  check_live(lun, wanted, shared);
  const std::string file = lun.folder + "/attrib/dev_config";
  if (const Result<void> written =
          files.write_value(file, std::string{lun::daemon_prefix}.append(wanted));
      !written) {
    fail(fmt::format("{}; the log of tcmu-runner says why", written.error().message));
  }
  if (options.json) {
    TargetLun after = lun;
    after.configuration = wanted;
    print_json({{"version", 1},
                {"report", "set"},
                {"lun", lun.name},
                {"configuration", wanted},
                {"settings", changes(lun, after, shared, options)}});
    return;
  }
  fmt::print(
      "{}: the configuration is now {}\nIt lasts until the LUN is deleted or the machine restarts. "
      "To keep it: targetcli saveconfig\n",
      printable(lun.name), printable(wanted));
}

std::string check_assignment(const std::string& text) {
  const std::size_t equals = text.find('=');
  const bool good =
      equals != std::string::npos && equals > 0 && text.find(';') == std::string::npos;
  return good ? "" : fmt::format("{} is no setting: write KEY=VALUE", printable(text));
}

}  // namespace

void add_set(CLI::App& app) {
  CLI::App* const command =
      app.add_subcommand("set", "change settings of a LUN while it is in use");
  const auto options = std::make_shared<Options>();
  command->add_option("LUN", options->lun, "the backstore's name")
      ->required()
      ->check([](const std::string& name) { return name.empty() ? "LUN is empty" : ""; });
  command
      ->add_option("SETTING", options->assignments,
                   "KEY=VALUE; without VALUE, back to that of ballast.conf or the default")
      ->required()
      ->check(check_assignment);
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
