// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/drill/onlooker.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/machine/settings.h"

namespace ballast::ctl::drill {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> kinds{"daemon", "LUN", "session", "disk", "initiator"};

int rank_of(std::string_view kind) {
  return static_cast<int>(std::ranges::find(kinds, kind) - kinds.begin());
}

std::uint64_t grown(const json& before, const json& after, const char* counter) {
  const auto old = before.at("counters").at(counter).get<std::uint64_t>();
  const auto now = after.at("counters").at(counter).get<std::uint64_t>();
  return now > old ? now - old : 0;
}

std::map<std::uint64_t, std::uint64_t> buckets_of(const json& histogram) {
  std::map<std::uint64_t, std::uint64_t> all;
  for (const json& bucket : histogram.at("buckets")) {
    all[bucket.at(0).get<std::uint64_t>()] = bucket.at(1).get<std::uint64_t>();
  }
  return all;
}

// "4": the number that LIO gives to the session of an ACL, from its file `info`. nullopt: it has
// none.
std::optional<std::string> session_of_acl(const Files& files, const std::string& folder) {
  constexpr std::string_view key = "LIO Session ID: ";
  const std::string info = files.read(folder + "/info").value_or("");
  const std::size_t at = info.find(key);
  if (at == std::string::npos) {
    return std::nullopt;
  }
  const std::size_t begin = at + key.size();
  return info.substr(begin, info.find_first_not_of("0123456789", begin) - begin);
}

// "2 of iqn.…": the initiators that have an ACL and a session, and which session.
std::map<std::string, std::string> served(const Files& files) {
  constexpr const char* iscsi = "/sys/kernel/config/target/iscsi";
  std::map<std::string, std::string> all;
  for (const std::string& target : files.list(iscsi)) {
    for (const std::string& group : files.list(fmt::format("{}/{}", iscsi, target))) {
      const std::string acls = fmt::format("{}/{}/{}/acls", iscsi, target, group);
      for (const std::string& initiator : files.list(acls)) {
        if (const auto session = session_of_acl(files, acls + "/" + initiator)) {
          all[fmt::format("{} at {}", initiator, target)] = *session;
        }
      }
    }
  }
  return all;
}

}  // namespace

Nanoseconds longest_between(const json& before, const json& after) {
  std::uint64_t longest = 0;
  for (const auto& [kind, now] : after.items()) {
    const json& old = before.at(kind);
    const auto record = now.at("longest_ns").get<std::uint64_t>();
    if (record > old.at("longest_ns").get<std::uint64_t>()) {
      longest = std::max(longest, record);
      continue;
    }
    const auto had = buckets_of(old);
    for (const auto& [bound, count] : buckets_of(now)) {
      const auto known = had.find(bound);
      if (count > (known == had.end() ? 0 : known->second)) {
        longest = std::max(longest, std::min(bound, record));
      }
    }
  }
  return Nanoseconds{static_cast<std::int64_t>(longest)};
}

std::optional<std::string> kernel_message(std::string_view record) {
  // "4,1234,5678901,-;text\n KEY=value\n", Documentation/ABI/testing/dev-kmsg
  constexpr std::array<std::string_view, 8> words{"detected conn error", "I/O error",    "offline",
                                                  "blocked for more",    "hung",         "iSCSI",
                                                  "ABORT_TASK",          "rejecting I/O"};
  const std::size_t semicolon = record.find(';');
  const auto priority = whole_number(record.substr(0, record.find(',')));
  if (semicolon == std::string_view::npos || !priority) {
    return std::nullopt;
  }
  std::string_view text = record.substr(semicolon + 1);
  text = text.substr(0, text.find('\n'));
  constexpr std::int64_t warning = 4, severity_bits = 7, kernel = 8;
  const bool is_of_kernel = *priority < kernel;
  const bool is_wanted = (*priority & severity_bits) <= warning ||
                         std::ranges::any_of(words, [&](std::string_view word) {
                           return text.find(word) != std::string_view::npos;
                         });
  return is_of_kernel && is_wanted ? std::optional{std::string{text}} : std::nullopt;
}

Witness* Onlooker::find(const char* kind, const std::string& name) {
  const auto found = all_.find({rank_of(kind), name});
  return found == all_.end() ? nullptr : &found->second;
}

Witness& Onlooker::add(const char* kind, const std::string& name, std::string about) {
  return all_[{rank_of(kind), name}] = {kind, name, std::move(about), std::nullopt, 0, {}};
}

// Each trouble is told once, however long it lasts.
void Onlooker::trouble(Witness& of, const std::string& what) {
  if (std::ranges::find(of.troubles, what) == of.troubles.end()) {
    of.troubles.push_back(what);
  }
}

void Onlooker::look(const Result<std::string>& stats) {
  if (first_) {
    add("daemon", "tcmu-runner", "");
  }
  look_at_luns(stats);
  look_at_sysfs();
  look_at_initiators();
  first_ = false;
}

void Onlooker::hear(const std::vector<watch_events::Event>& events) {
  for (const watch_events::Event& event : events) {
    Witness* const session = find("session", event.subject);
    if (session != nullptr && event.event == "connection_error") {
      trouble(*session, event.text.substr(0, event.text.find(" (")));
    }
  }
}

void Onlooker::look_at_luns(const Result<std::string>& stats) {
  const Result<Reading> reading = stats ? read_answer(stats.value()) : stats.error();
  if (!reading) {
    trouble(*find("daemon", "tcmu-runner"), reading.error().message);
    return;
  }
  std::set<std::string> there;
  for (const json& lun : reading.value().luns) {
    there.insert(lun.at("name").get<std::string>());
    look_at_lun(lun);
  }
  for (const std::string& silent : reading.value().silent) {
    there.insert(silent);
    Witness* const known = find("LUN", silent);
    trouble(known != nullptr ? *known : add("LUN", silent, ""), "did not answer the daemon");
  }
  for (auto& [key, witness] : all_) {
    if (witness.kind == "LUN" && !there.contains(witness.name)) {
      trouble(witness, "is gone");
    }
  }
}

void Onlooker::look_at_lun(const json& lun) {
  const auto name = lun.at("name").get<std::string>();
  if (first_) {
    add("LUN", name, "");
    before_[name] = lun;
  }
  Witness* const witness = find("LUN", name);
  const auto before = before_.find(name);
  if (witness == nullptr || before == before_.end()) {
    return;  // it has come during the drill
  }
  if (lun.at("open_for_ns") < before->second.at("open_for_ns")) {
    trouble(*witness, "was opened anew");
    before->second = lun;
  }
  witness->longest = longest_between(before->second.at("latency"), lun.at("latency"));
  witness->busy = grown(before->second, lun, "busy") + grown(before->second, lun, "task_set_full");
  if (grown(before->second, lun, "stuck") > 0) {
    trouble(*witness, "had a thread that did not go on for 5 s");
  }
  if (name == own_) {
    return;
  }
  if (lun.at("state") == "stalled" || grown(before->second, lun, "stalls") > 0) {
    trouble(*witness, "stalled");
  }
  if (grown(before->second, lun, "deadlines") > 0 || grown(before->second, lun, "shed") > 0) {
    trouble(*witness, "answered commands BUSY because of their age");
  }
}

void Onlooker::look_at_sysfs() {
  std::set<Key> there;
  const auto see = [&](const char* kind, const std::string& name, const std::string& about,
                       const std::optional<std::string>& state, std::string_view good) {
    if (first_) {
      add(kind, name, about);
    }
    if (Witness* const witness = find(kind, name); witness != nullptr && state) {
      there.insert({rank_of(kind), name});
      if (*state != good) {
        trouble(*witness, "was " + *state);
      }
    }
  };
  for (const std::string& session : files_.list("/sys/class/iscsi_session")) {
    const std::string folder = "/sys/class/iscsi_session/" + session;
    see("session", session, "to " + files_.value(folder + "/targetname").value_or("?"),
        files_.value(folder + "/state"), "LOGGED_IN");
  }
  const Result<std::vector<Disk>> ours = disks(files_, {});
  for (const Disk& disk : ours.ok() ? ours.value() : std::vector<Disk>{}) {
    see("disk", disk.name, fmt::format("LUN {} of {}", disk.lun, disk.target),
        files_.value("/sys/block/" + disk.name + "/device/state"), "running");
  }
  for (auto& [key, witness] : all_) {
    if ((witness.kind == "session" || witness.kind == "disk") && !there.contains(key)) {
      trouble(witness, "is gone");
    }
  }
}

void Onlooker::look_at_initiators() {
  const std::map<std::string, std::string> now = served(files_);
  if (first_) {
    for (const auto& [initiator, session] : now) {
      add("initiator", initiator, "");
    }
    first_session_ = now;
  }
  for (const auto& [initiator, session] : first_session_) {
    const auto found = now.find(initiator);
    if (found == now.end()) {
      trouble(*find("initiator", initiator), "lost its session");
    } else if (found->second != session) {
      trouble(*find("initiator", initiator), "had to log in again");
    }
  }
}

std::vector<Witness> Onlooker::witnesses() const {
  std::vector<Witness> all;
  for (const auto& [key, witness] : all_) {
    all.push_back(witness);
  }
  return all;
}

}  // namespace ballast::ctl::drill
