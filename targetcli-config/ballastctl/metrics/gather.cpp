// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/metrics/gather.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <utility>

#include "lib/base/version.h"
#include "lib/watch/bus.h"
#include "targetcli-config/ballastctl/machine/patience.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/tune/record.h"

namespace ballast::ctl::metrics {
namespace {

namespace bus = watch::bus;

void append(Families& all, Families more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

bool has_log(const nlohmann::json& lun) {
  const auto log = lun.find("log");  // an older plugin has none
  return log != lun.end() && log->is_object();
}

// Adds the metrics of one answer, all or none. Returns why they are missing; "": they are not.
std::string add(Families& all, const Result<Reading>& answer, Families (*of)(const Reading&)) {
  if (!answer) {
    return answer.error().message;
  }
  try {
    append(all, of(answer.value()));
    return {};
  } catch (const nlohmann::json::exception& error) {
    return fmt::format("the plugin's answer is not as this version knows it ({})", error.what());
  }
}

}  // namespace

PluginAnswers ask_plugin(Nanoseconds patience) {
  using std::chrono::steady_clock;
  const auto until = steady_clock::now() + patience;
  const auto question = [&](const bus::Method& method) -> Result<Reading> {
    const Nanoseconds rest = until - steady_clock::now();
    if (rest <= Nanoseconds{}) {
      return Error{ETIMEDOUT,
                   fmt::format("tcmu-runner took more than {} for its other answers",
                               duration_text(static_cast<std::uint64_t>(patience.count())))};
    }
    const Result<std::string> answer = ask(method, "", rest);
    return answer ? read_answer(answer.value()) : answer.error();
  };
  const Result<std::string> version = plugin_version(patience);
  if (!version) {
    return {version, version.error(), version.error(), version.error()};
  }
  Result<Reading> list = question(bus::list);
  Result<Reading> stats = question(bus::stats);
  Result<Reading> logs = Reading{};
  if (!list) {
    logs = list.error();
  } else if (std::ranges::any_of(list.value().luns, has_log)) {
    logs = question(bus::log);
  }
  return {version, std::move(list), std::move(stats), std::move(logs)};
}

Site look(const Files& files) {
  const std::vector<TargetLun> luns = target_luns(files);
  Site site{.has_luns = !luns.empty(),
            .exports = exports(files, luns),
            .disks = {},
            .deadline = tune::recorded_goal(files).deadline};
  if (Result<std::vector<Disk>> found = disks(files, {}); found) {
    site.disks = std::move(found).value();
  }
  return site;
}

Gathered gather(const PluginAnswers& plugin, const std::optional<Site>& site) {
  Gathered gathered;
  Families rest;
  const auto miss = [&](const char* what, const std::string& why) {
    if (!why.empty()) {
      gathered.missing.push_back(fmt::format("the metrics of {} are missing: {}", what, why));
    }
    return !why.empty();
  };
  const bool answers = plugin.version.ok();
  bool luns = false, counters = false, logs = false;
  if (answers) {
    luns = miss("the LUNs' state", add(rest, plugin.list, of_luns));
    counters = miss("the LUNs' counters and times", add(rest, plugin.stats, of_stats));
    logs = miss("the LUNs' write logs", add(rest, plugin.logs, of_logs));
  } else if (!site || site->has_luns) {
    luns = counters = logs = miss("the LUNs", plugin.version.error().message);
  }
  const bool machine = miss("this machine", site ? "" : files_hang);
  if (site) {
    append(rest, of_exports(site->exports));
    append(rest, of_disks(site->disks, site->deadline));
  }
  // An initiator has no plugin that could be down.
  append(gathered.families,
         of_versions(answers ? plugin.version.value() : "", version, answers || luns));
  append(
      gathered.families,
      of_missing({{"luns", luns}, {"counters", counters}, {"logs", logs}, {"machine", machine}}));
  append(gathered.families, std::move(rest));
  return gathered;
}

}  // namespace ballast::ctl::metrics
