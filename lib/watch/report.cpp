// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/report.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "lib/base/keys.h"
#include "lib/base/limits.h"
#include "lib/watch/counters.h"
#include "lib/watch/initiator.h"

namespace ballast::watch::report {

namespace {

// Keeps the members in the order of the manual (report.h).
using Json = nlohmann::ordered_json;

constexpr int version = 1;

// A duration is at least 0, even if two clocks disagree.
std::uint64_t ns(Nanoseconds time) {
  return static_cast<std::uint64_t>(std::max(time, Nanoseconds{}).count());
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json connection_of(const LunSnapshot& lun) {
  if (lun.connection.empty()) {
    return nullptr;
  }
  Json json;
  json["state"] = lun.connection;
  json["for_ns"] = ns(lun.now - lun.connection_since);
  return json;
}

Json begin_lun(const LunSnapshot& lun) {
  Json json;
  json["name"] = lun.name;
  json["at_ns"] = ns(lun.now.since_start);
  json["state"] = lun.stalled_since ? "stalled" : "ok";
  json["stalled_for_ns"] =
      lun.stalled_since ? Json(ns(lun.now - *lun.stalled_since)) : Json(nullptr);
  json["unanswered"] = lun.unanswered;
  json["orphans"] = lun.orphans;
  return json;
}

Json stuck_threads(const std::vector<StuckThread>& threads) {
  Json all = Json::array();
  for (const StuckThread& thread : threads) {
    Json json;
    json["lun"] = thread.lun;
    json["for_ns"] = ns(thread.for_how_long);
    json["thread"] = thread.thread;
    json["thread_name"] = thread.thread_name;
    json["thread_state"] = std::string(1, thread.state);
    json["drives"] = thread.drives;
    json["task"] = text_or_null(thread.task);
    json["where"] = text_or_null(thread.where);
    json["what"] = thread.what;
    json["in_kernel"] = text_or_null(thread.kernel_place);
    all.push_back(std::move(json));
  }
  return all;
}

template <class Describe>
std::string document(const char* kind, std::span<const LunSnapshot> luns,
                     const FromOutside& outside, Describe describe) {
  Json all = Json::array();
  for (const LunSnapshot& lun : luns) {
    Json json = begin_lun(lun);
    describe(lun, json);
    all.push_back(std::move(json));
  }
  Json json;
  json["version"] = version;
  json["report"] = kind;
  json["luns"] = std::move(all);
  json["silent"] = outside.silent;
  json["stuck"] = stuck_threads(outside.stuck);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::uint64_t bytes_of(BlockCount blocks, Bytes block) {
  std::uint64_t bytes = 0;
  return __builtin_mul_overflow(blocks.value(), block.value(), &bytes)
             ? std::numeric_limits<std::uint64_t>::max()
             : bytes;
}

void add_identity(const CommandRecord& record, Bytes block, Json& json) {
  json["number"] = record.number;
  json["operation"] = record.name;
  json["opcode"] = record.opcode;
  const bool ranged = record.has_range;
  json["lba"] = ranged ? Json(record.lba.value()) : Json(nullptr);
  json["blocks"] = ranged ? Json(record.blocks.value()) : Json(nullptr);
  json["bytes"] = ranged ? Json(bytes_of(record.blocks, block)) : Json(nullptr);
}

Json time_in_stages(const CommandRecord& record, TimePoint at) {
  Json json;
  for (std::size_t i = 0; i < stage_count; ++i) {
    const auto stage = static_cast<Stage>(i);
    json[to_string(stage)] = ns(record.time_in(stage, at));
  }
  return json;
}

Json command(const CommandRecord& record, const LunSnapshot& lun) {
  Json json;
  add_identity(record, lun.logical_block, json);
  const Nanoseconds age = record.age(lun.now);
  json["age_ns"] = ns(age);
  json["stage"] = to_string(record.stage);
  json["stage_for_ns"] = ns(lun.now - record.stage_since);
  json["time_in_ns"] = time_in_stages(record, lun.now);
  json["orphan"] = record.orphan;
  json["answered_for_ns"] = record.orphan ? Json(ns(lun.now - record.answered)) : Json(nullptr);
  json["adopts"] = record.adopts;
  json["error_handler_in_ns"] =
      record.orphan ? Json(nullptr) : Json(ns(error_handler_begins - age));
  return json;
}

Json slow_request(const SlowRequest& request, const LunSnapshot& lun) {
  Json json;
  add_identity(request.record, lun.logical_block, json);
  json["answer"] = to_string(request.ending);
  json["took_ns"] = ns(request.record.age(request.ended));
  json["ended_for_ns"] = ns(lun.now - request.ended);
  json["time_in_ns"] = time_in_stages(request.record, request.ended);
  json["adopts"] = request.record.adopts;
  json["waited_for"] = text_or_null(request.waited_for);
  return json;
}

void add_limits(config::Limits limits, Json& json) {
  for (const config::Key& key : config::keys_of(limits)) {
    const std::string name{key.name};
    if (const auto* const duration = std::get_if<config::Duration>(&key.values)) {
      json[name + "_ns"] = ns(duration->setting);
    } else if (const auto* const size = std::get_if<config::Size>(&key.values)) {
      json[name] = size->setting.value();
    } else {
      json[name] = std::get<config::Number>(key.values).setting;
    }
  }
}

Json counters_of(const LunSnapshot& lun, bool all) {
  Json json;
  for (const Counter& counter : counters) {
    if (all || counter.in_list) {
      json[std::string{counter.name}] = counter.value(lun);
    }
  }
  return json;
}

Json mailbox_of(const LunSnapshot& lun) {
  Json json;
  json["version"] = lun.mailbox.version;
  json["flags"] = lun.mailbox.flags;
  json["ring_offset"] = lun.mailbox.ring_offset;
  json["ring_bytes"] = lun.mailbox.ring_bytes;
  return json;
}

Json histogram(const Histogram& latencies) {
  Json json;
  json["count"] = latencies.count();
  json["sum_ns"] = ns(latencies.sum());
  json["mean_ns"] = latencies.count() == 0 ? 0 : ns(latencies.sum()) / latencies.count();
  json["p50_ns"] = ns(latencies.quantile(0.5));
  json["p99_ns"] = ns(latencies.quantile(0.99));
  json["p999_ns"] = ns(latencies.quantile(0.999));
  json["longest_ns"] = ns(latencies.longest());
  Json buckets = Json::array();
  for (std::size_t i = 0; i < Histogram::bucket_count; ++i) {
    if (latencies.count_in(i) > 0) {
      buckets.push_back(Json::array({ns(Histogram::upper_bound(i)), latencies.count_in(i)}));
    }
  }
  json["buckets"] = std::move(buckets);
  return json;
}

Json stage_times(const StageTimes& stages) {
  Json json;
  for (std::size_t i = 0; i < stage_count; ++i) {
    const StageTimes::Times& times = stages.in(static_cast<Stage>(i));
    Json buckets = Json::array();
    for (std::size_t bucket = 0; bucket < StageTimes::bucket_count; ++bucket) {
      if (times.buckets[bucket] > 0) {
        buckets.push_back(
            Json::array({ns(StageTimes::upper_bound(bucket)), times.buckets[bucket]}));
      }
    }
    json[to_string(static_cast<Stage>(i))] = {
        {"count", times.count()}, {"sum_ns", ns(times.sum)}, {"buckets", std::move(buckets)}};
  }
  return json;
}

Json store_errors(const LunSnapshot& lun) {
  Json all = Json::array();
  for (const StoreErrors& errors : lun.store_errors) {
    all.push_back({{"operation", errors.operation},
                   {"error", errors.error},
                   {"count", errors.count},
                   {"last_for_ns", ns(lun.now - errors.last)}});
  }
  return all;
}

Json room_of(const LunSnapshot& lun) {
  if (!lun.room.has_value()) {
    return nullptr;
  }
  return {{"free_bytes", lun.room->free.value()},
          {"used_bytes", lun.room->used.value()},
          {"soft_threshold_bytes", lun.room->soft_threshold.value()}};
}

Json log_of(const LunSnapshot& lun) {
  if (!lun.log.has_value()) {
    return nullptr;
  }
  Json json;
  json["state"] = lun.log->state;
  json["used_per_mille"] = lun.log->used_per_mille();
  return json;
}

Json all_of_log(const LunSnapshot& lun) {
  Json json = log_of(lun);
  if (!lun.log.has_value()) {
    return json;
  }
  const LogView& log = *lun.log;
  json["device"] = log.device;
  json["used_bytes"] = log.used.value();
  json["size_bytes"] = log.size.value();
  json["blocks"] = log.blocks();
  json["first_block"] = log.first;
  json["last_block"] = log.last;
  json["oldest_ns"] = log.oldest ? Json(ns(lun.now - *log.oldest)) : Json(nullptr);
  json["store_bytes_per_s"] = log.store_speed ? Json(*log.store_speed) : Json(nullptr);
  json["epoch"] = log.epoch;
  return json;
}

}  // namespace

std::string list(std::span<const LunSnapshot> luns, const FromOutside& outside) {
  return document("list", luns, outside, [](const LunSnapshot& lun, Json& json) {
    json["backend"] = lun.backend;
    json["configuration"] = lun.configuration;
    json["fault_control"] = text_or_null(lun.fault_control);
    json["access"] = text_or_null(lun.access);
    json["owner"] = text_or_null(lun.owner);
    json["capacity_bytes"] = lun.capacity.value();
    json["logical_block_bytes"] = lun.logical_block.value();
    json["connection"] = connection_of(lun);
    json["log"] = log_of(lun);
    json["room"] = room_of(lun);
    json["open_for_ns"] = ns(lun.now - lun.opened);
    add_limits(lun, json);
    json["queue_depth"] = lun.queue_depth;
    json["oldest_ns"] = lun.oldest ? Json(ns(lun.now - *lun.oldest)) : Json(nullptr);
    json["orphan_bytes"] = lun.orphan_bytes.value();
    json["mailbox"] = mailbox_of(lun);
    json["counters"] = counters_of(lun, false);
  });
}

std::string inflight(std::span<const LunSnapshot> luns, const FromOutside& outside) {
  return document("inflight", luns, outside, [](const LunSnapshot& lun, Json& json) {
    std::vector<CommandRecord> by_age = lun.in_flight;
    std::ranges::sort(by_age, [](const CommandRecord& a, const CommandRecord& b) {
      return std::tie(a.arrived, a.number) < std::tie(b.arrived, b.number);
    });
    json["connection"] = connection_of(lun);
    json["waits_for"] = text_or_null(lun.waits_for);
    Json commands = Json::array();
    for (const CommandRecord& record : by_age) {
      commands.push_back(command(record, lun));
    }
    json["commands"] = std::move(commands);
  });
}

std::string slow(std::span<const LunSnapshot> luns, const FromOutside& outside) {
  return document("slow", luns, outside, [](const LunSnapshot& lun, Json& json) {
    json["slow_ns"] = ns(lun.slow);
    json["slow_begun"] = lun.slow_begun;
    Json requests = Json::array();
    for (const SlowRequest& request : lun.slow_requests) {
      requests.push_back(slow_request(request, lun));
    }
    json["requests"] = std::move(requests);
  });
}

std::string stats(std::span<const LunSnapshot> luns, const FromOutside& outside) {
  return document("stats", luns, outside, [](const LunSnapshot& lun, Json& json) {
    json["open_for_ns"] = ns(lun.now - lun.opened);
    json["orphan_bytes"] = lun.orphan_bytes.value();
    json["counters"] = counters_of(lun, true);
    Json latency;
    latency["reads"] = histogram(lun.reads);
    latency["writes"] = histogram(lun.writes);
    latency["others"] = histogram(lun.others);
    json["latency"] = std::move(latency);
    json["stages"] = stage_times(lun.stages);
    json["store_errors"] = store_errors(lun);
  });
}

std::string tasks(std::span<const LunSnapshot> luns, const FromOutside& outside) {
  return document("tasks", luns, outside, [](const LunSnapshot& lun, Json& json) {
    Json tasks = Json::array();
    for (const TaskView& task : lun.tasks) {
      Json one;
      one["name"] = task.name;
      one["waits_for"] = text_or_null(task.waits_for);
      one["where"] = task.where;
      one["for_ns"] = ns(task.for_how_long);
      one["awaited_at"] = task.awaited_at;
      tasks.push_back(std::move(one));
    }
    json["tasks"] = std::move(tasks);
  });
}

std::string log(std::span<const LunSnapshot> luns, const FromOutside& outside) {
  return document("log", luns, outside, [](const LunSnapshot& lun, Json& json) {
    json["backend"] = lun.backend;
    json["log"] = all_of_log(lun);
  });
}

std::string stall(const StallNews& news) {
  return document(news.oldest ? "stalled" : "recovered", {&news.lun, 1}, {},
                  [&](const LunSnapshot& lun, Json& json) {
                    if (news.oldest) {
                      json["command"] = command(*news.oldest, lun);
                    } else {
                      const LunCounters& before = news.begin.counters;
                      json["was_stalled_for_ns"] = ns(lun.now - news.begin.at);
                      json["cost"] = {
                          {"held", lun.counters.held - before.held},
                          {"answered_early", answered_early(lun.counters) - answered_early(before)},
                          {"adopted", lun.counters.adoptions - before.adoptions},
                          {"store_errors", all_store_errors(lun) - news.begin.store_errors}};
                    }
                    json["counters"] = counters_of(lun, true);
                    json["store_errors"] = store_errors(lun);
                  });
}

std::span<const Report> all() {
  static constexpr std::array reports{
      Report{bus::list, list},
      Report{bus::in_flight, inflight, {.in_flight = true}},
      Report{bus::slow, slow, {.slow_requests = true}},
      Report{bus::stats, stats},
      Report{bus::tasks, tasks, {.tasks = true}},
      Report{bus::log, log},
  };
  return reports;
}

}  // namespace ballast::watch::report
