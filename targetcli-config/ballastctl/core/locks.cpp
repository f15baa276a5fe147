// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_set>

#include "targetcli-config/ballastctl/core/owners.h"
#include "targetcli-config/ballastctl/core/views.h"
#include "targetcli-config/ballastctl/text/cells.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl::core {
namespace {

// The values of volume::Fences::Kind.
constexpr std::array kinds{"read", "change", "look"};
constexpr std::uint64_t read = 0;
constexpr std::uint64_t change = 1;

struct Hold {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  std::uint64_t order = 0;
  std::uint64_t blockers = 0;
  std::uint64_t kind = 0;
  bool fenced = false;
  std::uint64_t fenced_at = 0;
  const Owner* owner = nullptr;
};

// As volume::Fences::Hold::waits_for.
bool waits_for(const Hold& later, const Hold& earlier) {
  const bool overlaps = later.first < earlier.end && earlier.first < later.end;
  if (!overlaps || earlier.kind != change) {
    return false;
  }
  return later.kind != read ? later.order > earlier.order
                            : earlier.fenced && later.order > earlier.fenced_at;
}

std::vector<Hold> holds_of(const DeadLun& lun, const Owners& owners, Reader& reader) {
  std::vector<Hold> holds;
  const std::optional<Object> volume = lun.lun ? lun.lun->target("volume") : std::nullopt;
  std::vector<Object> left;  // of the tree, to be looked at
  if (volume.has_value()) {
    if (std::optional<Object> root = volume->target("holds"); root.has_value()) {
      left.push_back(std::move(*root));
    }
  }
  std::unordered_set<std::uint64_t> seen;
  while (!left.empty()) {
    const Object node = std::move(left.back());
    left.pop_back();
    if (seen.size() == Reader::longest_list || !seen.insert(node.address()).second) {
      reader.note(
          fmt::format("the fences of LUN {} go round in a circle: they may have been "
                      "changed just then",
                      lun.name()));
      break;
    }
    const std::optional<Object> wait = node.target("wait");
    const Owner* owner = owners.of_hold(node.address());
    if (owner == nullptr && wait.has_value()) {
      owner = owners.of_task(wait->number("task"));
    }
    holds.push_back({node.number("first"), node.number("end"), node.number("order"),
                     node.number("blockers"), node.number("kind"), node.flag("fenced"),
                     node.number("fenced_at"), owner});
    for (const char* const side : {"left", "right"}) {
      if (std::optional<Object> child = node.target(side); child.has_value()) {
        left.push_back(std::move(*child));
      }
    }
  }
  std::ranges::sort(holds, {}, [](const Hold& hold) { return std::pair{hold.first, hold.order}; });
  return holds;
}

Json hold_json(const Hold& hold, const std::vector<Hold>& all) {
  Json json;
  json["command"] = hold.owner != nullptr ? Json(hold.owner->command) : Json(nullptr);
  json["operation"] = hold.owner != nullptr ? Json(hold.owner->operation) : Json(nullptr);
  json["kind"] = hold.kind < kinds.size() ? kinds[hold.kind] : "?";
  json["lba"] = hold.first;
  json["blocks"] = hold.end - hold.first;
  json["orphan"] = hold.fenced;
  Json before = Json::array();
  if (hold.blockers > 0) {
    for (const Hold& other : all) {
      if (before.size() < hold.blockers && waits_for(hold, other)) {
        before.push_back(other.owner != nullptr ? Json(other.owner->command) : Json(nullptr));
      }
    }
  }
  json["waits_for"] = std::move(before);
  return json;
}

Json adoption_json(const Object& slot, const Owner& adopter, const Owners& owners) {
  const Owner* const orphan = owners.of_adopters(slot.number("adopts_of"));
  Json json;
  json["command"] = adopter.command;
  json["operation"] = adopter.operation;
  json["waits_for"] = orphan != nullptr ? Json(orphan->command) : Json(nullptr);
  return json;
}

// Who has locked a mutex, or waits for it; `since` is when that began.
Json locker_json(const std::optional<Object>& task, const Owners& owners,
                 const std::optional<TimePoint>& since, TimePoint now) {
  const Owner* const owner = task ? owners.of_task(task->address()) : nullptr;
  Json json;
  json["task"] = task ? Json(task->text("name")) : Json(nullptr);
  json["command"] = owner != nullptr ? Json(owner->command) : Json(nullptr);
  json["for_ns"] =
      since ? Json(static_cast<std::uint64_t>(std::max<std::int64_t>(0, (now - *since).count())))
            : Json(nullptr);
  return json;
}

Json mutex_json(const Object& mutex, const Owners& owners, TimePoint now) {
  Json json;
  json["mutex"] = mutex.text("what");
  json["locked_at"] = place(mutex.target("locked_at"));
  json["owner"] = locker_json(mutex.target("owner"), owners, mutex.time("locked_since"), now);
  json["waiters"] = Json::array();
  for (const Object& locker : mutex.list("waiters")) {
    const std::optional<Object> task = locker.target("task");
    json["waiters"].push_back(
        locker_json(task, owners, task ? std::optional{task->time("since")} : std::nullopt, now));
  }
  return json;
}

std::string names(const nlohmann::json& commands) {
  std::string text;
  for (const nlohmann::json& command : commands) {
    text += text.empty() ? "" : ", ";
    text += command.is_null() ? "another" : number_cell(command);
  }
  return text;
}

std::string task_cell(const nlohmann::json& locker) {
  const nlohmann::json& task = locker.at("task");
  return task.is_null() ? "" : task.get<std::string>();
}

std::string mutexes_text(const std::vector<nlohmann::json>& luns, const View& view) {
  constexpr auto right = Table::Align::right;
  Table table{{{"LUN"},
               {"MUTEX"},
               {"TASK"},
               {"COMMAND", right},
               {"STATE"},
               {"SINCE", right},
               {"LOCKED AT"}}};
  for (const nlohmann::json& lun : luns) {
    for (const nlohmann::json& mutex : lun.at("mutexes")) {
      const nlohmann::json& owner = mutex.at("owner");
      table.add({lun.at("name"), mutex.at("mutex"), task_cell(owner),
                 number_cell(owner.at("command")), "has it", duration_cell(owner.at("for_ns")),
                 mutex.at("locked_at")});
      for (const nlohmann::json& waiter : mutex.at("waiters")) {
        table.add({lun.at("name"), mutex.at("mutex"), task_cell(waiter),
                   number_cell(waiter.at("command")), "waits", duration_cell(waiter.at("for_ns")),
                   ""});
      }
    }
  }
  return table.empty() ? "" : "\n" + table.text(view);
}

}  // namespace

Json locks(const Process& process) {
  Json luns = Json::array();
  for (const DeadLun& lun : process.luns()) {
    const Owners owners{lun};
    const std::vector<Hold> all = holds_of(lun, owners, process.reader());
    Json json;
    json["name"] = lun.name();
    json["holds"] = Json::array();
    for (const Hold& hold : all) {
      json["holds"].push_back(hold_json(hold, all));
    }
    json["adoptions"] = Json::array();
    for (std::size_t i = 0; i < owners.slots().size(); ++i) {
      const std::optional<Object> record = owners.slots()[i].part("record");
      if (record.has_value() && record->flag("adopts")) {
        json["adoptions"].push_back(adoption_json(owners.slots()[i], owners.of_slot(i), owners));
      }
    }
    json["mutexes"] = Json::array();
    for (const Object& mutex : lun.mutexes) {
      if (mutex.flag("locked")) {
        json["mutexes"].push_back(mutex_json(mutex, owners, process.now()));
      }
    }
    luns.push_back(std::move(json));
  }
  return luns;
}

std::string show_locks(const std::vector<nlohmann::json>& luns, const View& view) {
  constexpr auto right = Table::Align::right;
  Table table{{{"LUN"},
               {"COMMAND", right},
               {"OPERATION"},
               {"HOLDS", Table::Align::wrap},
               {"LBA", right},
               {"BLOCKS", right},
               {"WAITS-FOR-COMMAND"}}};
  for (const nlohmann::json& lun : luns) {
    for (const nlohmann::json& hold : lun.at("holds")) {
      const bool waits = !hold.at("waits_for").empty();
      const nlohmann::json& operation = hold.at("operation");
      table.add({lun.at("name"), number_cell(hold.at("command")),
                 operation.is_null() ? "" : operation.get<std::string>(),
                 fmt::format("{}{}", waits ? "waits to " : "", hold.at("kind").get<std::string>()) +
                     (hold.at("orphan").get<bool>() ? ", orphan" : ""),
                 number_cell(hold.at("lba")), number_cell(hold.at("blocks")),
                 names(hold.at("waits_for"))});
    }
    for (const nlohmann::json& adoption : lun.at("adoptions")) {
      table.add({lun.at("name"), number_cell(adoption.at("command")), adoption.at("operation"),
                 "waits for an orphan's result", "", "",
                 names(nlohmann::json::array({adoption.at("waits_for")}))});
    }
  }
  return (table.empty() ? "no blocks are held\n" : table.text(view)) + mutexes_text(luns, view);
}

}  // namespace ballast::ctl::core
