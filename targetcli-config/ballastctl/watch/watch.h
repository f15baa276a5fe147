// SPDX-License-Identifier: Apache-2.0
// ballastctl watch: one timeline of what happens to LUNs, sessions and disks, a line per event.
//
// Sources, each used where it is there:
//   the plugin, through D-Bus        stalls and slow requests, asked for once a second
//   TCM-USER (generic netlink)       LUNs added, removed, reconfigured
//   NETLINK_ISCSI                    connection errors, sessions that come and go
//   sysfs                            states of sessions and disks, looked at once a second
//
// The kernel waits for an answer to each TCM-USER message as long as anybody listens
// (tcmu_netlink_event_send, drivers/target/target_core_user.c), and it is tcmu-runner that answers:
// so watch listens only while tcmu-runner is on the bus, or the removal of a backstore would hang.
//
// Turning messages into events is pure; watch.cpp has the loop. Single-threaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "targetcli-config/ballastctl/machine/files.h"

namespace ballast::ctl::watch_events {

struct Event {
  std::string event;    // for programs: "stalled", "slow", "connection_error", ...
  std::string subject;  // "vol0", "session1", "sda"
  std::string text;     // for people
  nlohmann::json details = nlohmann::json::object();
};

// A line, with its newline. `unix_ns`: when, on the wall clock.
std::string as_text(const Event& event, std::int64_t unix_ns);
std::string as_json(const Event& event, std::int64_t unix_ns);

// --- the plugin's reports (lib/watch/report.h)
// -----------------------------------------------------

class LunWatcher {
 public:
  // `answer`: the documents as they came; one that cannot be read gives one event, once.
  std::vector<Event> take_list(const std::string& answer);
  std::vector<Event> take_slow(const std::string& answer);
  // The plugin has gone: what it said is of no use for the next one.
  void forget();

 private:
  struct Slow {
    std::uint64_t begun = 0;
    std::set<std::pair<std::uint64_t, std::string>> ended;  // number, answer
  };
  using Compare = std::vector<Event> (LunWatcher::*)(const nlohmann::json& luns);
  std::vector<Event> take(const std::string& answer, Compare compare);
  std::vector<Event> compare_states(const nlohmann::json& luns);
  std::vector<Event> compare_slow(const nlohmann::json& luns);

  std::map<std::string, std::string> states_;
  std::map<std::string, Slow> slow_;
  bool told_unreadable_ = false;
};

// --- netlink
// ---------------------------------------------------------------------------------------

// One TCM-USER message, out of its attributes.
struct TcmuMessage {
  std::uint8_t command = 0;                  // enum tcmu_genl_cmd, linux/target_core_user.h
  std::string device;                        // "tcm-user/0/vol0/ballast/file=/srv/vol0.raw"
  std::optional<std::string> configuration;  // of a RECONFIG
  std::optional<std::uint64_t> size_bytes;   // of a RECONFIG
};
std::optional<Event> event_of(const TcmuMessage& message);

// The payload of a NETLINK_ISCSI message: struct iscsi_uevent, include/scsi/iscsi_if.h.
// `targets`: names of targets by session number, for the text.
std::optional<Event> iscsi_event(std::span<const std::byte> payload,
                                 const std::map<std::uint32_t, std::string>& targets);
// "TCP_CONN_CLOSE"; "" for an unknown one. enum iscsi_err.
const char* iscsi_error_name(std::uint32_t error) noexcept;

// --- sysfs
// -----------------------------------------------------------------------------------------

class StateWatcher {
 public:
  explicit StateWatcher(const Files& files) : files_{files} {}
  // The first look is the beginning, and tells only of what is not as it should be.
  std::vector<Event> look();
  const std::map<std::uint32_t, std::string>& targets() const { return targets_; }

 private:
  const Files& files_;
  bool first_ = true;
  std::map<std::string, std::string> states_;     // "session1", "sda"
  std::map<std::uint32_t, std::string> targets_;  // kept after a session has gone
};

}  // namespace ballast::ctl::watch_events
