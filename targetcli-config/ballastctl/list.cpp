// SPDX-License-Identifier: Apache-2.0
// ballastctl list: one line for each LUN.
#include <fmt/format.h>

#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/daemon.h"

namespace ballast::ctl {
namespace {

std::string state_of(const nlohmann::json& lun) {
  const nlohmann::json& stalled = lun.at("stalled_for_ns");
  const auto state = lun.at("state").get<std::string>();
  return stalled.is_null() ? state : fmt::format("{} {}", state, optional_duration(stalled));
}

std::string number(const nlohmann::json& value) {
  return fmt::format("{}", value.get<std::uint64_t>());
}

std::string show(const std::vector<nlohmann::json>& luns) {
  if (luns.empty()) {
    return "no LUNs\n";
  }
  constexpr auto right = Table::Align::right;
  Table table{{{"LUN"},
               {"STATE"},
               {"CAPACITY", right},
               {"UNANSWERED", right},
               {"ORPHANS", right},
               {"OLDEST", right},
               {"COMMANDS", right},
               {"READ", right},
               {"WRITTEN", right},
               {"BACKEND"}}};
  for (const nlohmann::json& lun : luns) {
    const nlohmann::json& counters = lun.at("counters");
    table.add({lun.at("name"), state_of(lun), bytes_text(lun.at("capacity_bytes")),
               number(lun.at("unanswered")), number(lun.at("orphans")),
               optional_duration(lun.at("oldest_ns")), number(counters.at("commands")),
               bytes_text(counters.at("read_bytes")), bytes_text(counters.at("written_bytes")),
               lun.at("backend")});
  }
  return table.text();
}

}  // namespace

void add_list(CLI::App& app) {
  add_question(app, {"list", "the LUNs, their state and load", "List", show});
}

}  // namespace ballast::ctl
