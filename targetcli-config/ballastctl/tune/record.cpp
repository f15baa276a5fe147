// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/tune/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace ballast::ctl::tune {
namespace {

constexpr int version = 1;
constexpr std::array<std::string_view, 5> kinds{"disk", "session", "node", "file", "block"};

std::optional<std::string> optional_text(const nlohmann::json& json) {
  return json.is_null() ? std::nullopt : std::optional{json.get<std::string>()};
}

nlohmann::json json_of(const Change& change) {
  return {{"kind", name_of(change.kind)},
          {"name", change.name},
          {"target", change.target},
          {"portal", change.portal},
          {"interface", change.interface},
          {"lun", change.lun},
          {"before", text_or_null(change.before)},
          {"after", text_or_null(change.after)}};
}

nlohmann::json json_of(const Goal& goal) {
  return {{"survive_ns", goal.survive.count()}, {"deadline_ns", goal.deadline.count()}};
}

// Throws nlohmann::json::exception, like the next one, if the document is not a record of tune.
Goal goal_of(const nlohmann::json& json) {
  const Goal goal{.survive = Nanoseconds{json.at("survive_ns").get<std::int64_t>()},
                  .deadline = Nanoseconds{json.at("deadline_ns").get<std::int64_t>()}};
  if (goal.survive <= Nanoseconds{} || goal.survive > longest_survive ||
      goal.deadline <= Nanoseconds{} || goal.deadline > longest_survive) {
    throw nlohmann::json::other_error::create(501, "the goal is out of range", &json);
  }
  return goal;
}

Change change_of(const nlohmann::json& json) {
  const auto kind = std::find(kinds.begin(), kinds.end(), json.at("kind").get<std::string>());
  if (kind == kinds.end()) {
    throw nlohmann::json::other_error::create(501, "unknown kind", &json);
  }
  return {static_cast<Kind>(kind - kinds.begin()),
          json.at("name"),
          json.at("target"),
          json.at("portal"),
          json.at("interface"),
          json.at("lun"),
          optional_text(json.at("before")),
          optional_text(json.at("after"))};
}

}  // namespace

std::string_view name_of(Kind kind) {
  return kinds.at(static_cast<std::size_t>(kind));
}

nlohmann::json text_or_null(const std::optional<std::string>& text) {
  return text ? nlohmann::json(*text) : nlohmann::json{};
}

const Change* Record::find(const Change& like) const {
  const auto found = std::find_if(changes.begin(), changes.end(),
                                  [&](const Change& each) { return each.same_place(like); });
  return found == changes.end() ? nullptr : &*found;
}

void Record::add(const Change& change) {
  for (Change& each : changes) {
    if (each.same_place(change)) {
      each.after = change.after;
      return;
    }
  }
  changes.push_back(change);
}

Result<std::optional<Record>> load_record(const Files& files) {
  if (!files.exists(record_path)) {
    return std::optional<Record>{};
  }
  const std::optional<std::string> content = files.read(record_path);
  if (!content) {
    return Error{EACCES, fmt::format("{} cannot be read: run it as root", record_path)};
  }
  try {
    const nlohmann::json document = nlohmann::json::parse(*content);
    if (document.at("version").get<int>() != version) {
      return Error{EINVAL, fmt::format("{} has version {}, and this ballastctl knows version {} "
                                       "only: use the ballastctl that wrote it",
                                       record_path, document.at("version").dump(), version)};
    }
    Record record;
    record.rule_timeout = document.at("rule").at("timeout");
    record.rule_max_retries = document.at("rule").at("max_retries");
    if (document.contains("goal")) {
      record.goal = goal_of(document.at("goal"));
    }
    for (const nlohmann::json& change : document.at("changes")) {
      record.changes.push_back(change_of(change));
    }
    return std::optional{std::move(record)};
  } catch (const nlohmann::json::exception&) {
    return Error{EINVAL, fmt::format("{} is damaged, so the settings from before tune are not "
                                     "known; nothing is changed: restore it from a backup, or move "
                                     "it away to take the settings of now for the old ones",
                                     record_path)};
  }
}

Result<void> save_record(const Files& files, const Record& record) {
  nlohmann::json document{
      {"version", version},
      {"rule", {{"timeout", record.rule_timeout}, {"max_retries", record.rule_max_retries}}},
      {"changes", nlohmann::json::array()}};
  if (record.goal) {
    document["goal"] = json_of(*record.goal);
  }
  for (const Change& change : record.changes) {
    document["changes"].push_back(json_of(change));
  }
  std::string text;
  try {
    text = document.dump(2) + "\n";
  } catch (const nlohmann::json::exception&) {
    return Error{
        EILSEQ,
        fmt::format(
            "a file that tune would replace is not UTF-8, and cannot be saved in {}: move it away",
            record_path)};
  }
  return files.replace(record_path, text);
}

Result<void> remove_record(const Files& files) {
  return files.remove(record_path);
}

Goal recorded_goal(const Files& files) {
  const Result<std::optional<Record>> record = load_record(files);
  return record && record.value() ? record.value()->goal.value_or(Goal{}) : Goal{};
}

}  // namespace ballast::ctl::tune
