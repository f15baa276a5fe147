// SPDX-License-Identifier: Apache-2.0
// The settings of a LUN, with what the LUN works with, in the words of ballast-json(5). Blocks: it
// asks the daemon.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/lun/config.h"
#include "targetcli-config/ballastctl/machine/target.h"

namespace ballast::ctl {

using InForce = std::map<std::string, std::string>;  // value by setting

// What the plugin works with, by LUN. Without the plugin nothing; then it says so on standard
// error.
std::map<std::string, InForce> in_force();

struct Row {
  lun::Setting setting;
  std::optional<std::string> in_force;  // nullopt: not known

  bool differs() const { return in_force.has_value() && *in_force != setting.value; }
};
// A configuration that is wrong ends in fail().
std::vector<Row> rows_of(const TargetLun& lun, const lun::Profiles& profiles,
                         const std::map<std::string, InForce>& working);

nlohmann::ordered_json as_json(const Row& row);

}  // namespace ballast::ctl
