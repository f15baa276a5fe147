// SPDX-License-Identifier: Apache-2.0
// ballastctl config: each setting of a LUN, who says so, and whether the LUN works with it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/lun/config.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/machine/target.h"
#include "targetcli-config/ballastctl/settings/lun_named.h"
#include "targetcli-config/ballastctl/settings/rows.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/text/table.h"

namespace ballast::ctl {
namespace {

struct Options {
  std::string lun;
  bool json = false;
};

std::string text_of(const TargetLun& lun, const std::vector<Row>& rows) {
  Table table{{{"SETTING"}, {"VALUE"}, {"FROM"}, {"NOTE", Table::Align::wrap}}};
  for (const Row& row : rows) {
    const lun::Setting& setting = row.setting;
    const std::string note =
        row.differs() ? fmt::format("the LUN works with {}{}",
                                    row.in_force->empty() ? "none" : printable(*row.in_force),
                                    setting.live ? "" : " until it is opened again")
                      : "";
    table.add({std::string{setting.name}, setting.value.empty() ? "none" : printable(setting.value),
               setting.from.empty() ? "default" : setting.from, note});
  }
  return fmt::format("{}: {}\n{}", printable(lun.name), printable(lun.configuration),
                     table.text({.columns = {}, .width = terminal_width()}, "  "));
}

nlohmann::ordered_json json_of(const TargetLun& lun, const std::vector<Row>& rows) {
  nlohmann::ordered_json settings = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    settings.push_back(as_json(row));
  }
  return {{"name", lun.name}, {"configuration", lun.configuration}, {"settings", settings}};
}

void run(const Options& options) {
  const Files files = Files::of_this_machine();
  const std::vector<TargetLun> luns = luns_named(files, options.lun);
  const lun::Profiles shared = or_fail(profiles(files));
  const std::map<std::string, InForce> working = in_force();
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const TargetLun& lun : luns) {
    const std::vector<Row> rows = rows_of(lun, shared, working);
    if (options.json) {
      all.push_back(json_of(lun, rows));
    } else {
      std::fputs(text_of(lun, rows).c_str(), stdout);
    }
  }
  if (options.json) {
    print_json({{"version", 1}, {"report", "config"}, {"luns", all}});
  } else if (luns.empty()) {
    std::fputs("no LUNs\n", stdout);
  }
}

}  // namespace

void add_config(CLI::App& app) {
  CLI::App* const command = app.add_subcommand("config", "each setting of a LUN, and who says so");
  const auto options = std::make_shared<Options>();
  command->add_option("LUN", options->lun, "the backstore's name; without it, all LUNs");
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
