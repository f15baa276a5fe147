// SPDX-License-Identifier: Apache-2.0
// ballastctl watch: one timeline of events at LUNs, sessions and disks, with one line for each
// event.
//
// Sources, each used if it is there:
//   the plugin, through D-Bus        stalls, by its signals; slow requests, and the stalls of a
//                                    plugin without signals, asked for once a second
//   TCM-USER (generic netlink)       LUNs added, removed, reconfigured
//   NETLINK_ISCSI                    connection errors, sessions made and ended
//   sysfs                            states of sessions and disks, read once a second
//
// While anybody listens to TCM-USER, the kernel waits for an answer to each message
// (tcmu_netlink_event_send, drivers/target/target_core_user.c). Only tcmu-runner answers. So watch
// listens only while tcmu-runner is on the bus; otherwise the removal of a backstore would hang.
//
// Turning messages into events is pure; StateWatcher reads sysfs; watch.cpp has the loop.
// Single-threaded.
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
  std::string event;    // for programs: "stalled", "slow", "connection_error", …
  std::string subject;  // "vol0", "session1", "sda"
  std::string text;     // for people
  nlohmann::json details = nlohmann::json::object();
};

// Returns one line with its newline. `unix_ns`: the time of the event, in ns since 1970.
std::string as_text(const Event& event, std::int64_t unix_ns);
std::string as_json(const Event& event, std::int64_t unix_ns);
// "2026-11-29T01:48:00.123+0000", local time.
std::string iso_time(std::int64_t unix_ns);

// --- the plugin's reports (ballast-json(5)) ---------------------------------------------------

class LunWatcher {
 public:
  // Compares an answer of the plugin with the last one. `answer`: the JSON document as it came. A
  // LUN that is silent in it is compared with its next answer. The first document that cannot be
  // read gives an event; further ones do not.
  std::vector<Event> take_list(const std::string& answer);
  std::vector<Event> take_slow(const std::string& answer);
  // A signal of the plugin: its document. An answer to List that is older changes nothing then.
  std::vector<Event> take_signal(const std::string& document);
  // Forgets the last answers, because the plugin has gone and the next one begins afresh.
  void forget();

 private:
  struct Slow {
    std::uint64_t begun = 0;
    std::set<std::pair<std::uint64_t, std::string>> ended;  // number, answer
  };
  using Compare = std::vector<Event> (LunWatcher::*)(const nlohmann::json& document);
  std::vector<Event> take(const std::string& answer, Compare compare);
  std::vector<Event> compare_states(const nlohmann::json& document);
  std::vector<Event> compare_slow(const nlohmann::json& document);
  std::vector<Event> hear_signal(const nlohmann::json& document);

  struct State {
    bool stalled = false;
    std::uint64_t at_ns = 0;  // by the daemon's clock
  };
  std::map<std::string, State> states_;
  std::map<std::string, Slow> slow_;
  bool told_unreadable_ = false;
};

// --- netlink -------------------------------------------------------------------------------------

// One TCM-USER message, read from its attributes.
struct TcmuMessage {
  std::uint8_t command = 0;                  // enum tcmu_genl_cmd, linux/target_core_user.h
  std::string device;                        // "tcm-user/0/vol0/ballast/file=/srv/vol0.raw"
  std::optional<std::string> configuration;  // of a RECONFIG
  std::optional<std::uint64_t> size_bytes;   // of a RECONFIG
};
// nullopt: the message tells no event.
std::optional<Event> event_of(const TcmuMessage& message);

// `payload`: a NETLINK_ISCSI message, struct iscsi_uevent, include/scsi/iscsi_if.h. `targets`: the
// names of targets by session number, for the text. nullopt: the message tells no event.
std::optional<Event> iscsi_event(std::span<const std::byte> payload,
                                 const std::map<std::uint32_t, std::string>& targets);
// The name in enum iscsi_err, such as "TCP_CONN_CLOSE"; "" for an unknown number.
const char* iscsi_error_name(std::uint32_t error) noexcept;

// --- sysfs ---------------------------------------------------------------------------------------

class StateWatcher {
 public:
  explicit StateWatcher(const Files& files) : files_{files} {}
  // Compares the states with those of the last call. The first call tells only of states that are
  // not as they should be.
  std::vector<Event> look();
  const std::map<std::uint32_t, std::string>& targets() const { return targets_; }

 private:
  const Files& files_;
  bool first_ = true;
  std::map<std::string, std::string> states_;     // "session1", "sda"
  std::map<std::uint32_t, std::string> targets_;  // kept after a session has gone
};

}  // namespace ballast::ctl::watch_events
