// SPDX-License-Identifier: Apache-2.0
// ballastctl list: one line for each LUN.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>

#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/machine/patience.h"
#include "targetcli-config/ballastctl/machine/target.h"
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

constexpr auto right = Table::Align::right;
constexpr auto wrap = Table::Align::wrap;
constexpr auto if_room = Table::Show::if_room;
constexpr auto on_request = Table::Show::on_request;

const Table::Columns columns{{"LUN"},
                             {"STATE", wrap},
                             {"CAPACITY", right},
                             {"UNANSWERED", right, if_room},
                             {"ORPHANS", right, on_request},
                             {"OLDEST", right, if_room},
                             {"COMMANDS", right, on_request},
                             {"READ", right, on_request},
                             {"WRITTEN", right, on_request},
                             {"CONFIGURATION", wrap},
                             {"TARGET", wrap},
                             {"NUMBER", wrap},
                             {"INITIATORS", wrap}};

// A LUN may be shown under several numbers. Each of the three cells has one part for each of them.
struct ExportCells {
  std::string targets, numbers, initiators;
};

ExportCells exports_of(const nlohmann::json& lun) {
  ExportCells cells;
  const nlohmann::json exports = lun.value("exports", nlohmann::json::array());
  if (exports.is_null()) {
    return {"?", "?", "?"};
  }
  const char* comma = "";
  for (const nlohmann::json& each : exports) {
    const auto initiators = each.at("initiators").get<std::vector<std::string>>();
    cells.targets += comma + each.at("target").get<std::string>();
    cells.numbers += comma + each.at("lun_number").get<std::string>();
    cells.initiators +=
        comma + (each.at("any_initiator") ? "any"
                 : initiators.empty()     ? "none"
                                          : fmt::format("{}", fmt::join(initiators, " ")));
    comma = ", ";
  }
  return cells;
}

// In the form in which targetcli takes it after cfgstring=.
std::string configuration_of(const nlohmann::json& lun) {
  const bool waits = lun.at("backend").get<std::string>().starts_with("waiting for ");
  return (waits ? "waiting for " : "") + lun.at("configuration").get<std::string>();
}

// Under each number: who sees the LUN there.
nlohmann::ordered_json exports_json(const std::string& lun, const std::vector<PortalLun>& offered,
                                    const std::vector<Export>& seen) {
  std::map<std::array<std::string, 3>, std::vector<std::string>> initiators;
  for (const Export& each : seen) {
    if (each.backstore == lun) {
      initiators[{each.target, each.portal_group, each.number}].push_back(each.initiator);
    }
  }
  for (const PortalLun& each : offered) {
    const bool is_seen = std::ranges::any_of(seen, [&](const Export& by) {
      return by.backstore == lun && by.target == each.target &&
             by.portal_group == each.portal_group;
    });
    if (each.backstore == lun && !is_seen) {
      initiators[{each.target, each.portal_group, each.number}] = {};
    }
  }
  auto all = nlohmann::ordered_json::array();
  for (const auto& [place, names] : initiators) {
    std::vector<std::string> named;
    std::ranges::copy_if(names, std::back_inserter(named),
                         [](const std::string& name) { return !name.empty(); });
    all.push_back({{"target", place[0]},
                   {"portal_group", place[1]},
                   {"lun_number", place[2]},
                   {"any_initiator", named.size() < names.size()},
                   {"initiators", named}});
  }
  return all;
}

struct Shown {
  std::vector<PortalLun> offered;
  std::vector<Export> seen;
};

Shown look(const Files& files) {
  const std::vector<TargetLun> backstores = target_luns(files);
  return {portal_luns(files, backstores), exports(files, backstores)};
}

// Adds to each LUN where the target shows it, which the daemon does not know.
std::string add_exports(nlohmann::ordered_json& document) {
  const std::optional<Shown> shown = look_with_patience(Files::of_this_machine(), look);
  for (nlohmann::ordered_json& lun : document.at("luns")) {
    lun["exports"] = shown ? exports_json(lun.at("name"), shown->offered, shown->seen)
                           : nlohmann::ordered_json{};
  }
  return shown ? "" : fmt::format("where the target shows the LUNs is not known: {}", files_hang);
}

}  // namespace

std::string show_list(const std::vector<nlohmann::json>& luns, const View& view) {
  if (luns.empty()) {
    return "no LUNs\n";
  }
  Table table{columns};
  for (const nlohmann::json& lun : luns) {
    const nlohmann::json& counters = lun.at("counters");
    const ExportCells shown = exports_of(lun);
    table.add({lun.at("name"), state_of(lun), bytes_cell(lun.at("capacity_bytes")),
               number_cell(lun.at("unanswered")), number_cell(lun.at("orphans")),
               duration_cell(lun.at("oldest_ns")), number_cell(counters.at("commands")),
               bytes_cell(counters.at("read_bytes")), bytes_cell(counters.at("written_bytes")),
               configuration_of(lun), shown.targets, shown.numbers, shown.initiators});
  }
  return table.text(view);
}

void add_list(CLI::App& app) {
  add_question(app, {"list", "the LUNs, their state and load, and where the target shows them",
                     watch::bus::list, columns, show_list, add_exports});
}

}  // namespace ballast::ctl
