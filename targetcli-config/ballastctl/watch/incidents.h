// SPDX-License-Identifier: Apache-2.0
// Incidents: one line for each stall of a LUN, in a file that outlives the daemon and the watch.
//
// An incident begins when a LUN stalls, and ends when it recovers, when it is closed, or when the
// daemon ends. An incident that is under way when the watch ends is written as such. What it cost
// are differences of the LUN's counters (lib/watch/counters.h) between its beginning and a moment
// `settle_time` after its end: orphans are adopted only when the store answers again.
//
// IncidentWatcher is pure. IncidentFile blocks. Single-threaded.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "targetcli-config/ballastctl/watch/watch.h"

namespace ballast::ctl::incidents {

inline constexpr const char* usual_file = "/var/lib/ballast/watch/incidents.jsonl";

// A line of the file is an object (ballast-json(5), history).
using Incident = nlohmann::ordered_json;

class IncidentWatcher {
 public:
  static constexpr std::int64_t settle_time_ns = 2'000'000'000;
  // How often the counters of a stalled LUN are wanted.
  static constexpr std::int64_t counting_interval_ns = 5'000'000'000;

  // Times are in ns since 1970. An event of another kind than stalled and recovered is passed over.
  void take(const watch_events::Event& event, std::int64_t now);
  // Answers of the plugin, as they came.
  void take_list(const std::string& answer, std::int64_t now);
  void take_stats(const std::string& answer, std::int64_t now);
  void daemon_ended(std::int64_t now);
  void watch_ends(std::int64_t now);

  // Whether an answer to Stats is wanted.
  bool wants_stats(std::int64_t now) const;
  // Those that have ended since the last call.
  std::vector<Incident> ended() { return std::exchange(ended_, {}); }

 private:
  struct Counts {
    std::uint64_t held = 0, answered_early = 0, adopted = 0, errors = 0;
  };
  struct Open {
    std::int64_t since = 0;
    std::optional<std::int64_t> until;  // it has recovered, and settles
    bool begun_before = false;
    nlohmann::json command;  // null: not known
    std::optional<Counts> first, last;
    std::optional<std::uint64_t> lost;
    std::int64_t counted_at = 0;
  };
  static Counts counts_of(const nlohmann::json& lun);
  static void count(Open& incident, const nlohmann::json& lun, std::int64_t now);
  void end(const std::string& lun, const Open& incident, std::int64_t until, const char* how);
  void end_all(std::int64_t now, const char* how);

  std::map<std::string, Open> open_;  // by the LUN's name
  std::vector<Incident> ended_;
};

class IncidentFile {
 public:
  static constexpr std::uint64_t largest = 4 << 20;  // bytes; then it becomes the old one

  explicit IncidentFile(std::string path) : path_{std::move(path)} {}

  // Appends a line in one write. What an earlier writer left of a line gets a line of its own.
  Result<void> append(const Incident& incident) const;

  struct Read {
    std::vector<Incident> incidents;  // the oldest first
    std::size_t unreadable = 0;       // lines
  };
  // Of the old file and of this one. A file that is not there is empty.
  Result<Read> read() const;

 private:
  std::string old_path() const { return path_ + ".1"; }
  std::string path_;
};

}  // namespace ballast::ctl::incidents
