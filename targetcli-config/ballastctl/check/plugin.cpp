// SPDX-License-Identifier: Apache-2.0
// What the plugin says, or that it says nothing (check.h).
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "lib/base/version.h"
#include "targetcli-config/ballastctl/check/check.h"
#include "targetcli-config/ballastctl/text/cells.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl::check {
namespace {

using nlohmann::json;

constexpr std::uint64_t hour_ns = std::chrono::nanoseconds{std::chrono::hours{1}}.count();

bool serves_anything(const Found& found) {
  const bool saved =
      found.saved.ok() && found.saved.value() && !found.saved.value()->inventory.backstores.empty();
  return saved || !found.now || !found.now->backstores.empty();
}

void judge_state(const std::string& name, const json& lun, Findings& findings) {
  if (lun.at("backend").get<std::string>().starts_with("waiting for ")) {
    findings.push_back(
        {Severity::critical, name,
         fmt::format("is not ready: it waits for {}", lun.at("configuration").get<std::string>()),
         "bring that back (mount, attach, restore); /var/log/tcmu-runner.log says "
         "what is missing"});
  } else if (lun.at("state") == "stalled") {
    findings.push_back(
        {Severity::critical, name,
         fmt::format("is stalled: its store has not answered for {}",
                     duration_cell(lun.at("stalled_for_ns"))),
         fmt::format("look at its disk, server or network; ballastctl inflight {} shows what waits",
                     name)});
  } else if (const std::string connection = connection_cell(lun); !connection.empty()) {
    findings.push_back({Severity::warning, name,
                        fmt::format("has lost the connection to its store: {}", connection),
                        "look at that server and the network"});
  }
}

void judge_log(const std::string& name, const json& lun, Findings& findings) {
  const json log = lun.value("log", json{});
  if (!log.is_object()) {
    return;
  }
  const auto state = log.at("state").get<std::string>();
  if (state == "failing" || state == "retired" || state == "damaged") {
    findings.push_back({state == "damaged" ? Severity::critical : Severity::warning, name,
                        fmt::format("its write log is {}", state),
                        fmt::format("ballastctl log status {}; ballastctl(8) explains it", name)});
  }
}

void judge_room(const std::string& name, const json& lun, Findings& findings) {
  const json room = lun.value("room", json{});
  if (!room.is_object() || room.at("free_bytes") >= room.at("soft_threshold_bytes")) {
    return;
  }
  findings.push_back(
      {Severity::warning, name,
       fmt::format("the file system of its file has only {} left, less than "
                   "soft_threshold={}",
                   bytes_cell(room.at("free_bytes")), bytes_cell(room.at("soft_threshold_bytes"))),
       "make room there before writes fail, or discard in the initiators"});
}

void judge_errors(const json& lun, Findings& findings) {
  for (const json& errors : lun.value("store_errors", json::array())) {
    // A plugin that is older than this program does not say when.
    const json last = errors.value("last_for_ns", json{});
    if (last.is_number() && last.get<std::uint64_t>() < hour_ns) {
      findings.push_back(
          {Severity::warning, lun.at("name"),
           fmt::format("its store has ended a {} with \"{}\", the last time {} ago; {} times since "
                       "it was opened",
                       errors.at("operation").get<std::string>(),
                       errors.at("error").get<std::string>(), duration_cell(last),
                       number_cell(errors.at("count"))),
           "look at its disk or server; /var/log/tcmu-runner.log has each"});
    }
  }
}

}  // namespace

Findings judge_plugin(const Found& found) {
  if (found.plugin.ok()) {
    if (found.plugin.value() == version) {
      return {};
    }
    return {{Severity::warning, "tcmu-runner",
             fmt::format("has version {} of handler_ballast.so, and ballastctl is {}",
                         found.plugin.value(), version),
             "install both in the same version; then, when it suits, systemctl restart "
             "tcmu-runner"}};
  }
  const Error& why = found.plugin.error();
  if (!serves_anything(found)) {
    return {{Severity::unknown, "target",
             "this machine has no LUN of Ballast, and tcmu-runner does not answer",
             "on an initiator, run ballastctl doctor instead; " + why.message}};
  }
  Findings findings{{why.errno_value == EACCES ? Severity::unknown : Severity::critical,
                     "tcmu-runner", "does not answer", why.message}};
  if (!found.has_bus_policy) {
    findings.push_back({Severity::critical, "D-Bus",
                        "lets nobody ask tcmu-runner about Ballast, because "
                        "org.ballast.Ballast1.conf is not in /usr/share/dbus-1/system.d",
                        "install it (make install, or the package ballast-target)"});
  }
  return findings;
}

Findings judge_luns(const Found& found) {
  Findings findings;
  for (const std::string& sentence : silence_of(found.list)) {
    findings.push_back({Severity::critical, "tcmu-runner", sentence,
                        "ballastctl(8) says what the states of threads mean"});
  }
  std::set<std::string> known(found.list.silent.begin(), found.list.silent.end());
  for (const json& lun : found.list.luns) {
    const std::string name = lun.at("name");
    known.insert(name);
    judge_state(name, lun, findings);
    judge_log(name, lun, findings);
    judge_room(name, lun, findings);
  }
  for (const json& lun : found.stats.luns) {
    judge_errors(lun, findings);
  }
  if (!found.now || !found.plugin.ok()) {
    return findings;
  }
  for (const auto& [name, configuration] : found.now->backstores) {
    if (!known.contains(name)) {
      findings.push_back(
          {Severity::critical, name,
           fmt::format("is in configfs, and tcmu-runner has not opened {}", configuration),
           "/var/log/tcmu-runner.log says why"});
    }
  }
  return findings;
}

}  // namespace ballast::ctl::check
