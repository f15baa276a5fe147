// SPDX-License-Identifier: Apache-2.0
// ballastctl tasks: the coroutines of a LUN, and what each of them waits for.
#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/text/cells.h"

namespace ballast::ctl {
namespace {

constexpr auto right = Table::Align::right;
constexpr auto wrap = Table::Align::wrap;
const Table::Columns columns{
    {"LUN"}, {"TASK", wrap}, {"WAITS-FOR", wrap}, {"SINCE", right}, {"WHERE", wrap}};

}  // namespace

std::string show_tasks(const std::vector<nlohmann::json>& luns, const View& view) {
  const std::vector<OfLun> tasks = oldest_first(luns, "tasks", "for_ns");
  if (tasks.empty()) {
    return "no tasks\n";
  }
  Table table{columns};
  for (const auto& [name, task] : tasks) {
    const nlohmann::json& waits_for = task.at("waits_for");
    table.add({name, task.at("name"),
               waits_for.is_null() ? "(ready to run)" : waits_for.get<std::string>(),
               duration_cell(task.at("for_ns")), task.at("where")});
  }
  return table.text(view);
}

void add_tasks(CLI::App& app) {
  add_question(app, {"tasks", "the LUNs' coroutines and what each waits for", watch::bus::tasks,
                     columns, show_tasks});
}

}  // namespace ballast::ctl
