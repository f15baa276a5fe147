// SPDX-License-Identifier: Apache-2.0
// ballastctl inflight: the commands under way, the oldest first, and the stage that each has
// reached.
#include <fmt/format.h>

#include <algorithm>

#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/text/cells.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

constexpr auto right = Table::Align::right;
constexpr auto wrap = Table::Align::wrap;
constexpr auto if_room = Table::Show::if_room;
constexpr auto on_request = Table::Show::on_request;

// The usual ones fit a terminal of 100 columns.
const Table::Columns columns{{"LUN"},
                             {"COMMAND", right, on_request},
                             {"OPERATION", wrap},
                             {"LBA", right},
                             {"LENGTH", right, if_room},
                             {"AGE", right},
                             {"STAGE"},
                             {"SINCE", right, if_room},
                             {"QUEUE", right, on_request},
                             {"FENCE", right, on_request},
                             {"BACKEND", right, on_request},
                             {"ERROR-HANDLER", wrap},
                             {"NOTE", wrap}};

std::string error_handler(const nlohmann::json& command) {
  const nlohmann::json& left = command.at("error_handler_in_ns");
  if (left.is_null()) {
    return "";
  }
  return left == 0 ? "begun" : fmt::format("in {}", duration_cell(left));
}

std::string note(const nlohmann::json& command) {
  if (command.at("orphan").get<bool>()) {
    return fmt::format("orphan, answered {} ago", duration_cell(command.at("answered_for_ns")));
  }
  if (command.at("adopts").get<bool>()) {
    return "waits for an orphan's result";
  }
  return rare_stages(command.at("time_in_ns"));
}

// What is known of the storage of LUNs on another machine, a line each.
std::string storage(const std::vector<nlohmann::json>& luns) {
  std::string text;
  for (const nlohmann::json& lun : luns) {
    const std::string name = printable(lun.at("name").get<std::string>());
    if (const std::string connection = connection_cell(lun); !connection.empty()) {
      text += fmt::format("{}: the connection to the storage: {}\n", name, connection);
    }
    if (const nlohmann::json& waits_for = lun.at("waits_for"); !waits_for.is_null()) {
      text += fmt::format("{}: the storage's client waits for {}\n", name,
                          printable(waits_for.get<std::string>()));
    }
  }
  return text;
}

}  // namespace

std::string show_in_flight(const std::vector<nlohmann::json>& luns, const View& view) {
  const std::vector<OfLun> commands = oldest_first(luns, "commands", "age_ns");
  if (commands.empty()) {
    return storage(luns) + "no commands in flight\n";
  }
  Table table{columns};
  for (const auto& [name, command] : commands) {
    const nlohmann::json& spent = command.at("time_in_ns");
    table.add({name, number_cell(command.at("number")), command.at("operation"),
               number_cell(command.at("lba")), bytes_cell(command.at("bytes")),
               duration_cell(command.at("age_ns")), command.at("stage"),
               duration_cell(command.at("stage_for_ns")), duration_cell(spent.at("queue")),
               duration_cell(spent.at("fence")), duration_cell(spent.at("backend")),
               error_handler(command), note(command)});
  }
  return storage(luns) + table.text(view);
}

void add_inflight(CLI::App& app) {
  add_question(app, {"inflight", "commands under way, oldest first, and where each one waits",
                     watch::bus::in_flight, columns, show_in_flight});
}

}  // namespace ballast::ctl
