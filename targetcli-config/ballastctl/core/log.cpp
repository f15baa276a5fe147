// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include "lib/watch/report.h"
#include "lib/write_log/reaper.h"
#include "targetcli-config/ballastctl/core/views.h"
#include "targetcli-config/ballastctl/text/log_text.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl::core {
namespace {

using write_log::Position;
using Step = write_log::Reaper::Step;

// Blocks of a log have numbers, and each comes to one state after the other. So those in a state
// lie between two numbers: the newest that has come further, and the newest in it.
struct Marks {
  std::uint64_t trimmed;       // the superblock on the device says that they are not needed
  std::uint64_t written_back;  // the store has them
  std::uint64_t durable;
  std::uint64_t written;
  std::uint64_t closed;
};

// As they were, but none below the one before it: the log's device may have failed, or the process
// died in the middle of a change.
Marks marks_of(const DeadLog& dead) {
  Marks marks{};
  marks.trimmed = position(dead.ring, "tail").sequence - 1;
  marks.written_back =
      std::max({marks.trimmed, dead.tail().sequence - 1, dead.log.number("superblock_tail") - 1});
  marks.durable = std::max(marks.written_back, dead.writer.number("durable"));
  marks.written = std::max(marks.durable, dead.writer.number("written"));
  marks.closed = std::max(marks.written, position(dead.ring, "next").sequence - 1);
  return marks;
}

Json between(const char* state, std::uint64_t behind, std::uint64_t last) {
  Json json;
  json["state"] = state;
  json["first_block"] = behind + 1;
  json["last_block"] = last;
  json["blocks"] = last - behind;
  return json;
}

Json by_state(const Marks& marks, bool open) {
  Json trimmed;
  trimmed["state"] = "trimmed";
  trimmed["first_block"] = nullptr;
  trimmed["last_block"] = marks.trimmed;
  trimmed["blocks"] = nullptr;
  return Json::array({std::move(trimmed),
                      between("written back", marks.trimmed, marks.written_back),
                      between("durable", marks.written_back, marks.durable),
                      between("written", marks.durable, marks.written),
                      between("closed", marks.written, marks.closed),
                      between("open", marks.closed, marks.closed + (open ? 1 : 0))});
}

Json position_json(const Position& position) {
  Json json;
  json["block"] = position.sequence;
  json["offset_bytes"] = position.offset;
  return json;
}

// The closed blocks, as they are given to the device.
Json at_device(const Object& writer, const Marks& marks) {
  constexpr std::uint64_t most_slots = 64;
  Json all = Json::array();
  const std::optional<Object> first = writer.part("slots");
  const std::uint64_t slots = std::clamp<std::uint64_t>(writer.number("slot_count"), 1, most_slots);
  const std::uint64_t count = first ? std::min(slots, marks.closed - marks.written) : 0;
  for (std::uint64_t i = 1; i <= count; ++i) {
    const std::uint64_t number = marks.written + i;  // write_log::Writer::slot_of
    const std::optional<Object> slot = writer.reader().object(
        first->address() + number % slots * first->size(), writer.type_of("slots"));
    if (!slot.has_value() || slot->number("number") != number) {
      continue;
    }
    Json json;
    json["block"] = number;
    json["offset_bytes"] = slot->number("offset");
    json["length_bytes"] = slot->number("length");
    json["changes"] = slot->number("changes");
    json["ended"] = slot->flag("ended");
    all.push_back(std::move(json));
  }
  return all;
}

Json reaper_json(const DeadLog& dead) {
  const auto step = static_cast<Step>(dead.reaper.number("step"));
  const bool has_batch = step == Step::writes || step == Step::flushes || step == Step::trims;
  const std::uint64_t first = dead.tail().sequence;
  const std::uint64_t hurry_to = dead.reaper.number("hurry_to");
  Json json;
  json["does"] = write_log::to_string(step);
  json["first_block"] = has_batch ? Json(first) : Json(nullptr);
  json["last_block"] = has_batch ? Json(dead.reaper.number("batch_end") - 1) : Json(nullptr);
  json["hurries_to"] = hurry_to >= first ? Json(hurry_to) : Json(nullptr);
  return json;
}

std::string range_text(const nlohmann::json& range) {
  const std::uint64_t first = range.at("first_block");
  const std::uint64_t last = range.at("last_block");
  return first == last ? fmt::format("block {}", first)
                       : fmt::format("blocks {} to {}", first, last);
}

// What it means that blocks are in a state.
std::string meaning(const std::string& state, const nlohmann::json& log) {
  if (state == "written back") {
    return "the store has them; the log's superblock does not say so yet";
  }
  if (state == "durable") {
    return "the store does not have them";
  }
  if (state == "written") {
    return "they survive the end of the daemon, not yet a power failure";
  }
  if (state == "closed") {
    return "on their way to the log's device";
  }
  return fmt::format("{} changes wait in it, {}", log.at("open_changes").get<std::uint64_t>(),
                     bytes_text(log.at("open_bytes")));
}

std::string states_text(const nlohmann::json& log) {
  std::string text;
  for (const nlohmann::json& range : log.at("by_state")) {
    const auto state = range.at("state").get<std::string>();
    if (range.at("blocks").is_null()) {
      text += fmt::format("  blocks up to {} {}: their room is free\n",
                          range.at("last_block").get<std::uint64_t>(), state);
    } else if (range.at("blocks").get<std::uint64_t>() > 0) {
      text += fmt::format("  {} {}: {}\n", range_text(range), state, meaning(state, log));
    }
  }
  return text;
}

std::string reaper_text(const nlohmann::json& reaper) {
  std::string text = fmt::format("  the reaper {}", reaper.at("does").get<std::string>());
  if (!reaper.at("first_block").is_null()) {
    text += fmt::format(", {}", range_text(reaper));
  }
  if (!reaper.at("hurries_to").is_null()) {
    text +=
        fmt::format("; it hurries up to block {}", reaper.at("hurries_to").get<std::uint64_t>());
  }
  return text + "\n";
}

std::string place_text(const nlohmann::json& place) {
  return fmt::format("block {} at offset {}", place.at("block").get<std::uint64_t>(),
                     place.at("offset_bytes").get<std::uint64_t>());
}

}  // namespace

Json more_of_log(const DeadLog& dead) {
  Json json;
  const Marks marks = marks_of(dead);
  const std::uint64_t open_changes = dead.writer.number("open_changes");
  json["by_state"] = by_state(marks, open_changes > 0);
  json["open_changes"] = open_changes;
  json["open_bytes"] = dead.writer.number("open_bytes");
  json["at_device"] = at_device(dead.writer, marks);
  json["tail"] = position_json(position(dead.ring, "tail"));
  json["next"] = position_json(position(dead.ring, "next"));
  json["reaper"] = reaper_json(dead);
  return json;
}

Json logs(const Process& process) {
  Json luns = Json::parse(watch::report::log(snapshots(process, {}), {})).at("luns");
  std::size_t index = 0;
  for (const DeadLun& dead : process.luns()) {
    if (!dead.lun.has_value()) {
      continue;
    }
    Json& log = luns.at(index++).at("log");
    if (const std::optional<DeadLog> its = DeadLog::of(dead); its.has_value() && !log.is_null()) {
      log.update(more_of_log(*its));
    }
  }
  return luns;
}

std::string show_logs(const std::vector<nlohmann::json>& luns, const View&) {
  std::string text;
  for (const nlohmann::json& lun : luns) {
    const nlohmann::json& log = lun.at("log");
    if (!log.is_null()) {
      text += status_text(lun) + states_text(log) + reaper_text(log.at("reaper")) +
              fmt::format("  the log begins with {}, and goes on with {}\n",
                          place_text(log.at("tail")), place_text(log.at("next")));
    }
  }
  return text.empty() ? "no LUN has a write log\n" : text;
}

}  // namespace ballast::ctl::core
