// SPDX-License-Identifier: Apache-2.0
// ballastctl slow: the last commands that took longer than the LUN's `slow` threshold.
#include <fmt/format.h>

#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/text/cells.h"

namespace ballast::ctl {
namespace {

constexpr auto right = Table::Align::right;
constexpr auto wrap = Table::Align::wrap;
constexpr auto if_room = Table::Show::if_room;
constexpr auto on_request = Table::Show::on_request;

const Table::Columns columns{{"LUN"},
                             {"COMMAND", right, on_request},
                             {"OPERATION", wrap},
                             {"LBA", right},
                             {"LENGTH", right},
                             {"TOOK", right},
                             {"ENDED", wrap},
                             {"QUEUE", right, if_room},
                             {"FENCE", right, if_room},
                             {"BACKEND", right},
                             {"ANSWER", wrap},
                             {"NOTE", wrap}};

std::string note(const nlohmann::json& request) {
  if (const nlohmann::json& waited_for = request.at("waited_for"); !waited_for.is_null()) {
    return "waited for " + waited_for.get<std::string>();
  }
  if (request.at("adopts").get<bool>()) {
    return "an orphan's result";
  }
  return rare_stages(request.at("time_in_ns"));
}

std::string show(const std::vector<nlohmann::json>& luns, const View& view) {
  std::string text;
  const std::vector<OfLun> requests = oldest_first(luns, "requests", "ended_for_ns");
  Table table{columns};
  for (const auto& [name, request] : requests) {
    const nlohmann::json& spent = request.at("time_in_ns");
    table.add({name, number_cell(request.at("number")), request.at("operation"),
               number_cell(request.at("lba")), bytes_cell(request.at("bytes")),
               duration_cell(request.at("took_ns")),
               fmt::format("{} ago", duration_cell(request.at("ended_for_ns"))),
               duration_cell(spent.at("queue")), duration_cell(spent.at("fence")),
               duration_cell(spent.at("backend")), request.at("answer"), note(request)});
  }
  if (!table.empty()) {
    text = table.text(view) + "\n";
  }
  for (const nlohmann::json& lun : luns) {
    text += fmt::format("{}: {} commands were slow (longer than {}) since it was opened\n",
                        printable(lun.at("name").get<std::string>()),
                        number_cell(lun.at("slow_begun")), duration_cell(lun.at("slow_ns")));
  }
  return text;
}

}  // namespace

void add_slow(CLI::App& app) {
  add_question(app, {"slow", "the last slow commands that have ended, and where their time went",
                     watch::bus::slow, columns, show});
}

}  // namespace ballast::ctl
