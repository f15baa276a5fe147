// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/watch/incidents.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace ballast::ctl::incidents {
namespace {

using nlohmann::json;

std::uint64_t counter(const json& counters, const char* name) {
  return counters.at(name).get<std::uint64_t>();
}

// Commands that were received and neither answered nor kept.
std::uint64_t lost_by(const json& lun) {
  const json& counters = lun.at("counters");
  std::uint64_t known = lun.at("unanswered").get<std::uint64_t>();
  for (const char* const answer : {"good", "check_condition", "busy", "task_set_full"}) {
    known += counter(counters, answer);
  }
  const std::uint64_t received = counter(counters, "commands");
  return received - std::min(received, known);
}

}  // namespace

IncidentWatcher::Counts IncidentWatcher::counts_of(const json& lun) {
  const json& counters = lun.at("counters");
  Counts counts{
      counter(counters, "held"),
      counter(counters, "deadlines") + counter(counters, "shed") + counter(counters, "aborted"),
      counter(counters, "adoptions"), 0};
  for (const json& errors : lun.at("store_errors")) {
    counts.errors += errors.at("count").get<std::uint64_t>();
  }
  return counts;
}

// `lun`: of a signal or of Stats.
void IncidentWatcher::count(Open& incident, const json& lun, std::int64_t now) {
  incident.last = counts_of(lun);
  if (!incident.first) {
    incident.first = incident.last;
  }
  incident.lost = lost_by(lun);
  incident.counted_at = now;
}

// The caller is the loop of a C library, through which no exception may pass. LunWatcher tells of
// an answer that cannot be read.
void IncidentWatcher::take(const watch_events::Event& event, std::int64_t now) {
  try {
    const json& lun = event.details;
    const auto known = open_.find(event.subject);
    if (event.event == "stalled") {
      const bool is_signal = lun.contains("command");
      if (known != open_.end() && !known->second.until) {
        return;  // it is known
      }
      if (known != open_.end()) {  // the last one settles
        if (is_signal) {
          count(known->second, lun, now);
        }
        end(event.subject, known->second, *known->second.until, "recovered");
      }
      Open incident;
      const json& stalled_for = lun.at("stalled_for_ns");
      const std::int64_t age = stalled_for.is_null() ? 0 : stalled_for.get<std::int64_t>();
      incident.since = now - age;
      incident.begun_before = !is_signal;
      if (is_signal) {
        incident.command = lun.at("command");
        count(incident, lun, now);
      }
      open_[event.subject] = std::move(incident);
    } else if (event.event == "recovered" && known != open_.end()) {
      known->second.until = now;
      if (lun.contains("cost")) {
        count(known->second, lun, now);
      }
    }
  } catch (const nlohmann::json::exception&) {
  }
}

void IncidentWatcher::take_list(const std::string& answer, std::int64_t now) {
  try {
    const json document = json::parse(answer);
    std::set<std::string> there;
    for (const json& lun : document.at("luns")) {
      there.insert(lun.at("name").get<std::string>());
    }
    for (const json& silent : document.at("silent")) {
      there.insert(silent.get<std::string>());
    }
    for (auto each = open_.begin(); each != open_.end();) {
      const bool closed = !there.contains(each->first);
      if (closed) {
        end(each->first, each->second, each->second.until.value_or(now),
            each->second.until ? "recovered" : "closed");
      }
      each = closed ? open_.erase(each) : std::next(each);
    }
  } catch (const nlohmann::json::exception&) {
  }
}

void IncidentWatcher::take_stats(const std::string& answer, std::int64_t now) {
  try {
    const json document = json::parse(answer);
    for (const json& lun : document.at("luns")) {
      const auto known = open_.find(lun.at("name").get<std::string>());
      if (known == open_.end()) {
        continue;
      }
      Open& incident = known->second;
      count(incident, lun, now);
      if (incident.until && now - *incident.until >= settle_time_ns) {
        end(known->first, incident, *incident.until, "recovered");
        open_.erase(known);
      }
    }
  } catch (const nlohmann::json::exception&) {
  }
}

bool IncidentWatcher::wants_stats(std::int64_t now) const {
  return std::ranges::any_of(open_, [now](const auto& each) {
    const Open& incident = each.second;
    return incident.until ? now - *incident.until >= settle_time_ns
                          : now - incident.counted_at >= counting_interval_ns;
  });
}

void IncidentWatcher::end(const std::string& lun, const Open& incident, std::int64_t until,
                          const char* how) {
  const auto cost = [&incident](std::uint64_t Counts::*what) -> json {
    if (!incident.first) {
      return nullptr;
    }
    const std::uint64_t before = (*incident.first).*what;
    const std::uint64_t after = (*incident.last).*what;
    // If it went down, the LUN was opened anew and counts from 0.
    return after < before ? json{} : json(after - before);
  };
  const auto of_command = [&incident](const char* member) -> json {
    return incident.command.is_object() ? incident.command.at(member) : json{};
  };
  const bool is_over = std::string_view{how} != "watch ended" || incident.until;
  ended_.push_back({{"version", 1},
                    {"lun", lun},
                    {"since", watch_events::iso_time(incident.since)},
                    {"until", is_over ? json(watch_events::iso_time(until)) : json{}},
                    {"since_unix_ms", incident.since / 1'000'000},
                    {"seconds", static_cast<double>((until - incident.since) / 1'000'000) / 1000},
                    {"ended", how},
                    {"begun_before", incident.begun_before},
                    {"held", cost(&Counts::held)},
                    {"answered_early", cost(&Counts::answered_early)},
                    {"adopted", cost(&Counts::adopted)},
                    {"errors", cost(&Counts::errors)},
                    {"lost", is_over && incident.lost && std::string_view{how} == "recovered"
                                 ? json(*incident.lost)
                                 : json{}},
                    {"operation", of_command("operation")},
                    {"lba", of_command("lba")},
                    {"blocks", of_command("blocks")},
                    {"stage", of_command("stage")}});
}

void IncidentWatcher::end_all(std::int64_t now, const char* how) {
  for (const auto& [lun, incident] : open_) {
    end(lun, incident, incident.until.value_or(now), incident.until ? "recovered" : how);
  }
  open_.clear();
}

void IncidentWatcher::daemon_ended(std::int64_t now) {
  end_all(now, "daemon ended");
}

void IncidentWatcher::watch_ends(std::int64_t now) {
  end_all(now, "watch ended");
}

}  // namespace ballast::ctl::incidents
