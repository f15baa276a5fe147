// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/settings/rows.h"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {

std::map<std::string, InForce> in_force() {
  std::map<std::string, InForce> all;
  const Result<std::string> answer = ask(watch::bus::list, "");
  const Result<Reading> reading = answer ? read_answer(answer.value()) : answer.error();
  if (!reading) {
    fmt::print(stderr, "ballastctl: what the LUNs work with is not known: {}\n",
               reading.error().message);
    return all;
  }
  for (const nlohmann::json& lun : reading.value().luns) {
    const auto settings = lun::settings(lun.at("configuration").get<std::string>(), nullptr);
    if (settings) {  // else the plugin is newer than this program
      for (const lun::Setting& setting : settings.value()) {
        all[lun.at("name")][std::string{setting.name}] = setting.value;
      }
    }
  }
  return all;
}

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

nlohmann::ordered_json as_json(const Row& row) {
  const lun::Setting& setting = row.setting;
  return {{"name", setting.name},
          {"value", setting.value},
          {"from", setting.from.empty() ? "default" : setting.from},
          {"live", setting.live},
          {"in_force",
           row.in_force ? nlohmann::ordered_json(*row.in_force) : nlohmann::ordered_json{}}};
}

}  // namespace ballast::ctl
