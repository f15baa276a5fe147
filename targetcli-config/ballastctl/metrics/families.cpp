// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/metrics/families.h"

#include <fmt/format.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <string_view>
#include <utility>

#include "lib/watch/counters.h"
#include "targetcli-config/ballastctl/machine/timeline.h"

namespace ballast::ctl::metrics {
namespace {

using nlohmann::json;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

double in_seconds(std::uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1e9;
}

// The bounds are powers of two, so the report's finer buckets fit in without loss: from 33 us to
// 137 s. What is longer is in +Inf alone.
constexpr unsigned first_power = 15;
constexpr std::size_t bounds = 23;

constexpr std::uint64_t bound(std::size_t bucket) {
  return std::uint64_t{1} << (first_power + bucket);
}

ClientMetric::Histogram histogram_of(const json& times) {
  ClientMetric::Histogram histogram;
  histogram.sample_sum = in_seconds(times.at("sum_ns"));
  std::vector<std::uint64_t> counts(bounds + 1);
  for (const json& bucket : times.at("buckets")) {
    const std::uint64_t upper = bucket.at(0);
    const std::uint64_t count = bucket.at(1);
    std::size_t at = 0;
    while (at < bounds && upper > bound(at)) {
      ++at;
    }
    counts[at] += count;
  }
  for (std::size_t i = 0; i <= bounds; ++i) {
    histogram.sample_count += counts[i];
    histogram.bucket.push_back(
        {histogram.sample_count,
         i < bounds ? in_seconds(bound(i)) : std::numeric_limits<double>::infinity()});
  }
  return histogram;
}

// Families in the order in which they were first named.
class Collection {
 public:
  void gauge(std::string_view name, const char* help, Labels labels, double value) {
    ClientMetric& metric = add(name, help, MetricType::Gauge, std::move(labels));
    metric.gauge.value = value;
  }
  void counter(std::string_view name, const char* help, Labels labels, double value) {
    ClientMetric& metric = add(name, help, MetricType::Counter, std::move(labels));
    metric.counter.value = value;
  }
  void histogram(std::string_view name, const char* help, Labels labels, const json& times) {
    ClientMetric& metric = add(name, help, MetricType::Histogram, std::move(labels));
    metric.histogram = histogram_of(times);
  }
  Families take() { return std::move(families_); }

 private:
  ClientMetric& add(std::string_view name, const char* help, MetricType type, Labels labels) {
    const auto [at, is_new] = places_.try_emplace(std::string{name}, families_.size());
    if (is_new) {
      families_.push_back({std::string{name}, help, type, {}});
    }
    ClientMetric& metric = families_[at->second].metric.emplace_back();
    metric.label = std::move(labels);
    return metric;
  }
  Families families_;
  std::map<std::string, std::size_t> places_;
};

// --- the LUNs

// A counter that is one value of a label of another metric.
struct Labelled {
  std::string_view counter;
  const char* metric;
  const char* help;
  const char* label;
  const char* value;
};
constexpr const char* answers = "ballast_lun_answers_total";
constexpr const char* answers_help = "Answers to commands, by SCSI status.";
constexpr const char* early = "ballast_lun_early_answers_total";
constexpr const char* early_help = "Commands that were answered before they were done, by reason.";
constexpr std::array labelled{
    Labelled{"good", answers, answers_help, "status", "GOOD"},
    Labelled{"check_condition", answers, answers_help, "status", "CHECK CONDITION"},
    Labelled{"busy", answers, answers_help, "status", "BUSY"},
    Labelled{"task_set_full", answers, answers_help, "status", "TASK SET FULL"},
    Labelled{"deadlines", early, early_help, "reason", "deadline"},
    Labelled{"shed", early, early_help, "reason", "stall"},
    Labelled{"aborted", early, early_help, "reason", "abort"},
};

void add_counters(Collection& all, const std::string& lun, const json& values) {
  for (const watch::Counter& counter : watch::counters) {
    const auto found = values.find(std::string{counter.name});
    if (found == values.end()) {
      continue;  // an older plugin
    }
    const double value = found->get<double>();
    const auto as = std::ranges::find_if(
        labelled, [&](const Labelled& each) { return each.counter == counter.name; });
    if (as != labelled.end()) {
      all.counter(as->metric, as->help, {{"lun", lun}, {as->label, as->value}}, value);
      continue;
    }
    const std::string help = std::string{counter.name.ends_with("_bytes") ? "Bytes " : ""} +
                             counter.meaning + ", since the LUN was opened.";
    all.counter(fmt::format("ballast_lun_{}_total", counter.name), help.c_str(), {{"lun", lun}},
                value);
  }
}

void add_stats(Collection& all, const json& stats) {
  const std::string lun = stats.at("name");
  add_counters(all, lun, stats.at("counters"));
  for (const auto& [kind, times] : stats.at("latency").items()) {
    all.histogram("ballast_lun_command_duration_seconds",
                  "From the arrival of a command to its answer, of those answered GOOD.",
                  {{"lun", lun}, {"kind", kind}}, times);
  }
  const json stages = stats.value("stages", json::object());
  for (const auto& [stage, times] : stages.items()) {
    if (times.at("count") > 0) {
      all.histogram("ballast_lun_stage_duration_seconds",
                    "The time that a command spent in a stage, of those that were there.",
                    {{"lun", lun}, {"stage", stage}}, times);
    }
  }
  for (const json& errors : stats.value("store_errors", json::array())) {
    all.counter(
        "ballast_lun_store_errors_total",
        "Operations that the store ended with an error, by operation and error.",
        {{"lun", lun}, {"operation", errors.at("operation")}, {"error", errors.at("error")}},
        errors.at("count"));
  }
}

double seconds_or_zero(const json& nanoseconds) {
  return nanoseconds.is_number() ? in_seconds(nanoseconds) : 0;
}

void add_list(Collection& all, const json& lun) {
  const std::string name = lun.at("name");
  const Labels of_lun{{"lun", name}};
  all.gauge("ballast_lun_info", "The LUN's store.", {{"lun", name}, {"backend", lun.at("backend")}},
            1);
  all.gauge("ballast_lun_stalled", "1 while the LUN's store does not answer.", of_lun,
            lun.at("state") == "stalled" ? 1 : 0);
  all.gauge("ballast_lun_stalled_seconds", "How long the LUN has been stalled; 0 if it is not.",
            of_lun, seconds_or_zero(lun.at("stalled_for_ns")));
  all.gauge("ballast_lun_unanswered_commands", "Commands that are not answered yet.", of_lun,
            lun.at("unanswered"));
  all.gauge("ballast_lun_orphans", "Commands that are answered while their operations still run.",
            of_lun, lun.at("orphans"));
  all.gauge("ballast_lun_orphan_bytes", "Data held for orphans.", of_lun, lun.at("orphan_bytes"));
  all.gauge("ballast_lun_oldest_command_seconds",
            "Age of the oldest command in flight, orphans included; 0 if there is none.", of_lun,
            seconds_or_zero(lun.at("oldest_ns")));
  all.gauge("ballast_lun_capacity_bytes", "The LUN's size.", of_lun, lun.at("capacity_bytes"));
  all.gauge("ballast_lun_open_seconds", "How long the LUN has been open.", of_lun,
            in_seconds(lun.at("open_for_ns")));
  all.gauge("ballast_lun_queue_depth", "How many commands the LUN takes at once.", of_lun,
            lun.at("queue_depth"));
  all.gauge("ballast_lun_deadline_seconds",
            "The age at which a command must have been answered, with BUSY if need be.", of_lun,
            in_seconds(lun.at("deadline_ns")));
  all.gauge("ballast_lun_stall_after_seconds",
            "The age of the oldest command from which on the LUN counts as stalled.", of_lun,
            in_seconds(lun.at("stall_after_ns")));
  if (const json access = lun.value("access", json{}); access.is_string()) {
    all.gauge("ballast_lun_owner",
              "1 while this gateway owns the store that it shares with others.", of_lun,
              access == "owner" ? 1 : 0);
  }
  if (const json connection = lun.value("connection", json{}); connection.is_object()) {
    all.gauge("ballast_lun_connected", "1 while a store on another machine is connected.", of_lun,
              connection.at("state") == "connected" ? 1 : 0);
  }
  if (const json room = lun.value("room", json{}); room.is_object()) {
    all.gauge("ballast_lun_room_free_bytes",
              "What the file system of the LUN's file has left, for it and all others.", of_lun,
              room.at("free_bytes"));
    all.gauge("ballast_lun_room_used_bytes", "What the LUN's file takes on its file system.",
              of_lun, room.at("used_bytes"));
    all.gauge("ballast_lun_room_soft_threshold_bytes",
              "The room below which the log and the initiators are told; 0 if they are not.",
              of_lun, room.at("soft_threshold_bytes"));
  }
  if (const json log = lun.value("log", json{}); log.is_object()) {
    all.gauge("ballast_lun_log_used_ratio", "How full the write log is, 0 to 1.", of_lun,
              log.at("used_per_mille").get<double>() / 1000);
    all.gauge("ballast_lun_log_working", "1 while the write log works.", of_lun,
              log.at("state") == "working" ? 1 : 0);
  }
}

}  // namespace

Families of_versions(const std::string& plugin, const char* tool, bool is_target) {
  Collection all;
  if (is_target) {
    all.gauge("ballast_up", "1 if the plugin in tcmu-runner answers.", {}, plugin.empty() ? 0 : 1);
  }
  Labels versions{{"tool_version", tool}};
  if (!plugin.empty()) {
    versions.push_back({"version", plugin});
  }
  all.gauge("ballast_build_info", "The version of the plugin, and of the tool that asks it.",
            std::move(versions), 1);
  return all.take();
}

Families of_missing(const std::vector<std::pair<const char*, bool>>& parts) {
  Collection all;
  for (const auto& [part, is_missing] : parts) {
    all.gauge("ballast_metrics_missing",
              "1 if metrics are missing, by part: luns (their state), counters (and histograms), "
              "logs, machine (exports and disks).",
              {{"part", part}}, is_missing ? 1 : 0);
  }
  return all.take();
}

Families of_luns(const Reading& list) {
  Collection all;
  const auto add_silent = [&all](const std::string& lun, bool silent) {
    all.gauge("ballast_lun_silent", "1 if the LUN does not answer the daemon itself.",
              {{"lun", lun}}, silent ? 1 : 0);
  };
  for (const json& lun : list.luns) {
    add_silent(lun.at("name"), false);
    add_list(all, lun);
  }
  for (const std::string& name : list.silent) {
    add_silent(name, true);
  }
  for (const json& thread : list.stuck) {
    all.gauge("ballast_lun_thread_stuck_seconds", "How long a thread of the LUN has not gone on.",
              {{"lun", thread.at("lun")}, {"thread", thread.at("thread_name")}},
              in_seconds(thread.at("for_ns")));
  }
  return all.take();
}

Families of_stats(const Reading& stats) {
  Collection all;
  for (const json& lun : stats.luns) {
    add_stats(all, lun);
  }
  return all.take();
}

Families of_logs(const Reading& logs) {
  Collection all;
  for (const json& lun : logs.luns) {
    const json& log = lun.at("log");
    if (!log.is_object()) {
      continue;
    }
    const Labels of_lun{{"lun", lun.at("name")}};
    all.gauge("ballast_lun_log_used_bytes", "What waits in the write log for the store.", of_lun,
              log.at("used_bytes"));
    all.gauge("ballast_lun_log_size_bytes", "The size of the write log.", of_lun,
              log.at("size_bytes"));
    all.gauge("ballast_lun_log_oldest_seconds",
              "How long the store has not had all that is in the write log; 0 if it has.", of_lun,
              seconds_or_zero(log.at("oldest_ns")));
    if (const json& speed = log.at("store_bytes_per_s"); speed.is_number()) {
      all.gauge("ballast_lun_log_store_bytes_per_second",
                "How much of the write log the store took a second lately.", of_lun, speed);
    }
  }
  return all.take();
}

Families of_exports(const std::vector<Export>& exports) {
  Collection all;
  for (const Export& each : exports) {
    all.gauge("ballast_lun_export_info",
              "Where the target shows the LUN: to this initiator, under this number; an empty "
              "initiator is any.",
              {{"lun", each.backstore},
               {"target", each.target},
               {"portal_group", each.portal_group},
               {"lun_number", each.number},
               {"initiator", each.initiator}},
              1);
  }
  return all.take();
}

Families of_disks(const std::vector<Disk>& disks, Nanoseconds deadline) {
  Collection all;
  for (const Disk& disk : disks) {
    const Nanoseconds survives = timeline::survives(timeline_settings(disk), deadline);
    const double seconds = survives == timeline::for_ever
                               ? std::numeric_limits<double>::infinity()
                               : in_seconds(static_cast<std::uint64_t>(survives.count()));
    all.gauge(
        "ballast_disk_survives_seconds",
        "How long a freeze may last before this initiator's disk has its first I/O error.",
        {{"disk", disk.name}, {"target", disk.target}, {"lun_number", fmt::format("{}", disk.lun)}},
        seconds);
  }
  return all.take();
}

std::string as_text(const Families& families) {
  const prometheus::TextSerializer serializer;
  const prometheus::Serializer& any = serializer;  // whose other overload is not hidden
  return any.Serialize(families);
}

}  // namespace ballast::ctl::metrics
