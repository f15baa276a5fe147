// SPDX-License-Identifier: Apache-2.0
// ballastctl list: one line for each LUN.
#include <fmt/format.h>

#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/text/cells.h"

namespace ballast::ctl {
namespace {

// "ok", "stalled 4.2 s, reconnecting 4.3 s"; with a write log "ok, log 12 % full"; of a shared
// store "ok, owner", or "ok, standby for 10.0.0.7:0/1234".
std::string state_of(const nlohmann::json& lun) {
  std::string state = state_cell(lun);
  if (const std::string connection = connection_cell(lun); !connection.empty()) {
    state += ", " + connection;
  }
  if (const nlohmann::json log = lun.value("log", nlohmann::json{}); log.is_object()) {
    const auto condition = log.at("state").get<std::string>();
    const std::uint64_t percent = log.at("used_per_mille").get<std::uint64_t>() / 10;
    state += condition == "working" ? fmt::format(", log {} % full", percent)
                                    : fmt::format(", log {}", condition);
  }
  const nlohmann::json access = lun.value("access", nlohmann::json{});
  const nlohmann::json owner = lun.value("owner", nlohmann::json{});
  if (!access.is_string()) {
    return state;
  }
  const auto word = access.get<std::string>();
  const bool other = owner.is_string() && word != "owner";
  return state + ", " + word + (other ? " for " + owner.get<std::string>() : "");
}

}  // namespace

std::string show_list(const std::vector<nlohmann::json>& luns) {
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
    table.add({lun.at("name"), state_of(lun), bytes_cell(lun.at("capacity_bytes")),
               number_cell(lun.at("unanswered")), number_cell(lun.at("orphans")),
               duration_cell(lun.at("oldest_ns")), number_cell(counters.at("commands")),
               bytes_cell(counters.at("read_bytes")), bytes_cell(counters.at("written_bytes")),
               lun.at("backend")});
  }
  return table.text();
}

void add_list(CLI::App& app) {
  add_question(app, {"list", "the LUNs, their state and load", watch::bus::list, show_list});
}

}  // namespace ballast::ctl
