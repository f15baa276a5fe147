// SPDX-License-Identifier: Apache-2.0
// ballastctl set: changes settings of a LUN while it is in use, as writing its configuration string
// to configfs does, but with the other settings left as they are.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/lun/config.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/machine/target.h"
#include "targetcli-config/ballastctl/settings/lun_named.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

struct Options {
  std::string lun;
  std::vector<std::string> assignments;
};

// The string with `assignment` in it, "deadline=10s", instead of the one for the same key.
// "deadline=" takes the key out.
std::string with(const std::string& configuration, const std::string& assignment) {
  const std::string key = assignment.substr(0, assignment.find('=') + 1);
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

void run(const Options& options) {
  const Files files = Files::of_this_machine();
  const TargetLun lun = luns_named(files, options.lun).front();
  std::string wanted = lun.configuration;
  for (const std::string& assignment : options.assignments) {
    wanted = with(wanted, assignment);
  }
  check_live(lun, wanted, or_fail(profiles(files)));
  const std::string file = lun.folder + "/attrib/dev_config";
  if (const Result<void> written =
          files.write_value(file, std::string{lun::daemon_prefix}.append(wanted));
      !written) {
    fail(fmt::format("{}; the log of tcmu-runner says why", written.error().message));
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
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
