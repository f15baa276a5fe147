// SPDX-License-Identifier: Apache-2.0
// ballastctl config: each setting of a LUN, who says so, and whether the LUN works with it.
#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/lun/config.h"
#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/machine/target.h"
#include "targetcli-config/ballastctl/settings/lun_named.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/text/table.h"

namespace ballast::ctl {
namespace {

using InForce = std::map<std::string, std::string>;  // value by setting

struct Options {
  std::string lun;
  bool json = false;
};

// What the plugin works with, by LUN. Without the plugin, nothing.
std::map<std::string, InForce> in_force() {
  std::map<std::string, InForce> all;
  const Result<std::string> answer = ask(watch::bus::list, "");
  if (!answer) {
    fmt::print(stderr, "ballastctl: what the LUNs work with is not known: {}\n",
               answer.error().message);
    return all;
  }
  for (const nlohmann::json& lun : or_fail(read_answer(answer.value())).luns) {
    const auto settings = lun::settings(lun.at("configuration").get<std::string>(), nullptr);
    if (settings) {  // else the plugin is newer than this program
      for (const lun::Setting& setting : settings.value()) {
        all[lun.at("name")][std::string{setting.name}] = setting.value;
      }
    }
  }
  return all;
}

struct Row {
  lun::Setting setting;
  std::optional<std::string> in_force;  // nullopt: not known

  bool differs() const { return in_force.has_value() && *in_force != setting.value; }
};

std::vector<Row> rows_of(const TargetLun& lun, const lun::Profiles& profiles,
                         const std::map<std::string, InForce>& working) {
  std::vector<Row> rows;
  const auto its = working.find(lun.name);
  for (lun::Setting& setting : or_fail(lun::settings(lun.configuration, &profiles))) {
    Row row{.setting = std::move(setting), .in_force = std::nullopt};
    if (its != working.end()) {
      if (const auto value = its->second.find(std::string{row.setting.name});
          value != its->second.end()) {
        row.in_force = value->second;
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

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
    settings.push_back({{"name", row.setting.name},
                        {"value", row.setting.value},
                        {"from", row.setting.from.empty() ? "default" : row.setting.from},
                        {"live", row.setting.live},
                        {"in_force", nullptr}});
    if (row.in_force) {
      settings.back()["in_force"] = *row.in_force;
    }
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
