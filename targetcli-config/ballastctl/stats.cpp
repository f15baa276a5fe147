// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/daemon.h"

namespace ballast::ctl {
namespace {

std::string show(const std::vector<nlohmann::json>& luns) {
  return nlohmann::json(luns).dump(2) + "\n";
}

}  // namespace

void add_stats(CLI::App& app) {
  add_question(app, {"stats", "stats", "Stats", show});
}

}  // namespace ballast::ctl
