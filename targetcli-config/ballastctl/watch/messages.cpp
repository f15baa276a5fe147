// SPDX-License-Identifier: Apache-2.0
// Turns netlink messages, and states in sysfs, into events.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/watch/watch.h"

namespace ballast::ctl::watch_events {
namespace {

// enum tcmu_genl_cmd. Its header cannot be used: in C++ it defines struct iovec a second time.
enum : std::uint8_t { tcmu_added = 1, tcmu_removed = 2, tcmu_reconfigured = 3 };

// struct iscsi_uevent: type (u32), iferror (u32), transport_handle (u64), and two unions. The first
// one is for messages to the kernel: at most two u32, a u64 and a u32, so 24 bytes. The second one
// is for messages from the kernel: 16 bytes. Only the byte order depends on the architecture. No
// Debian package has this header.
constexpr std::size_t uevent_bytes = 56;
constexpr std::size_t uevent_answer = 40;
enum : std::uint32_t {  // enum iscsi_uevent_e, from KEVENT_BASE on
  connection_error = 102,
  session_destroyed = 104,
  session_unbound = 105,
  session_created = 106,
  connection_state = 109,
};
constexpr std::array<const char*, 7> connection_states{
    // enum iscsi_conn_state
    "free",        "waiting for the transport", "logging in",         "logged in",
    "logging out", "asked to log out",          "waiting for cleanup"};

std::uint32_t word_at(std::span<const std::byte> payload, std::size_t offset) {
  std::uint32_t word = 0;
  std::memcpy(&word, payload.data() + offset, sizeof word);
  return word;
}

// Splits "tcm-user/0/vol0/ballast/file=/srv/vol0.raw" into the backstore's name, its third part,
// and the rest.
std::pair<std::string, std::string> split_device(const std::string& device) {
  std::size_t begin = 0;
  for (int part = 0; part < 2; ++part) {
    const std::size_t slash = device.find('/', begin);
    if (slash == std::string::npos) {
      return {device, ""};
    }
    begin = slash + 1;
  }
  const std::size_t end = device.find('/', begin);
  return {device.substr(begin, end - begin),
          end == std::string::npos ? "" : device.substr(end + 1)};
}

Event session_event(const char* event, std::uint32_t session, std::string text,
                    const std::map<std::uint32_t, std::string>& targets) {
  Event made{event, fmt::format("session{}", session), std::move(text), {{"session", session}}};
  if (const auto target = targets.find(session); target != targets.end()) {
    made.text += fmt::format(" ({})", target->second);
    made.details["target"] = target->second;
  }
  return made;
}

Event state_event(const std::string& name, const std::string& state, const std::string& before) {
  return {"state", name, fmt::format("{}is {}", before, state), {{"state", state}}};
}

}  // namespace

std::optional<Event> event_of(const TcmuMessage& message) {
  const auto [name, configuration] = split_device(message.device);
  nlohmann::json details{{"device", message.device}};
  switch (message.command) {
    case tcmu_added:
      return Event{"added", name, "backstore added: " + configuration, details};
    case tcmu_removed:
      return Event{"removed", name, "backstore removed: " + configuration, details};
    case tcmu_reconfigured:
      break;
    default:
      return std::nullopt;  // answers to these commands
  }
  std::string text = "backstore reconfigured";
  if (message.size_bytes) {
    text += ": size " + bytes_text(*message.size_bytes);
    details["size_bytes"] = *message.size_bytes;
  }
  if (message.configuration) {
    text += ": " + *message.configuration;
    details["configuration"] = *message.configuration;
  }
  return Event{"reconfigured", name, text, details};
}

const char* iscsi_error_name(std::uint32_t error) noexcept {
  constexpr std::uint32_t base = 1000;  // ISCSI_ERR_BASE
  constexpr std::array<const char*, 23> names{"",
                                              "DATASN",
                                              "DATA_OFFSET",
                                              "MAX_CMDSN",
                                              "EXP_CMDSN",
                                              "BAD_OPCODE",
                                              "DATALEN",
                                              "AHSLEN",
                                              "PROTO",
                                              "LUN",
                                              "BAD_ITT",
                                              "CONN_FAILED",
                                              "R2TSN",
                                              "SESSION_FAILED",
                                              "HDR_DGST",
                                              "DATA_DGST",
                                              "PARAM_NOT_FOUND",
                                              "NO_SCSI_CMD",
                                              "INVALID_HOST",
                                              "XMIT_FAILED",
                                              "TCP_CONN_CLOSE",
                                              "SCSI_EH_SESSION_RST",
                                              "NOP_TIMEDOUT"};
  return error > base && error - base < names.size() ? names.at(error - base) : "";
}

std::optional<Event> iscsi_event(std::span<const std::byte> payload,
                                 const std::map<std::uint32_t, std::string>& targets) {
  if (payload.size() < uevent_bytes) {
    return std::nullopt;
  }
  const std::uint32_t first = word_at(payload, uevent_answer);
  const std::uint32_t second = word_at(payload, uevent_answer + 4);
  const std::uint32_t third = word_at(payload, uevent_answer + 8);
  switch (word_at(payload, 0)) {
    case connection_error: {
      Event event = session_event(
          "connection_error", first,
          fmt::format("connection error {} {}", third, iscsi_error_name(third)), targets);
      event.details["error"] = third;
      return event;
    }
    case session_destroyed:  // host, session
      return session_event("session_destroyed", second, "session ended", targets);
    case session_unbound:
      return session_event("session_unbound", first, "its disks are removed", targets);
    case session_created:
      return session_event("session_created", first, "session made", targets);
    case connection_state: {
      const char* const name =
          third < connection_states.size() ? connection_states.at(third) : "in an unknown state";
      Event event =
          session_event("connection_state", first, fmt::format("connection is {}", name), targets);
      event.details["state"] = third;
      return event;
    }
    default:
      return std::nullopt;
  }
}

std::vector<Event> StateWatcher::look() {
  std::map<std::string, std::string> now;
  for (const std::string& session : files_.list("/sys/class/iscsi_session")) {
    const std::string folder = "/sys/class/iscsi_session/" + session;
    const std::optional<std::string> state = files_.value(folder + "/state");
    const auto number =
        whole_number(session.substr(std::min(session.size(), std::string_view{"session"}.size())));
    const std::string target = files_.value(folder + "/targetname").value_or("");
    if (state) {
      now[session] = *state;
    }
    if (number && *number >= 0 && !target.empty()) {
      targets_[static_cast<std::uint32_t>(*number)] = target;
    }
  }
  for (const std::string& disk : files_.list("/sys/block")) {
    const std::string device = "/sys/block/" + disk + "/device";
    if (files_.value(device + "/vendor") != "BALLAST") {
      continue;
    }
    if (const std::optional<std::string> state = files_.value(device + "/state")) {
      now[disk] = *state;
    }
  }
  std::vector<Event> events;
  for (const auto& [name, state] : now) {
    if (const auto before = states_.find(name); before != states_.end()) {
      if (state != before->second) {
        events.push_back(state_event(name, state, "was " + before->second + ", "));
      }
    } else if (!first_ && !name.starts_with("session")) {
      events.push_back({"disk", name, fmt::format("is a new disk, {}", state), {{"state", state}}});
    } else if (!first_ || (state != "LOGGED_IN" && state != "running")) {
      events.push_back(state_event(name, state, ""));
    }
  }
  for (const auto& [name, state] : states_) {
    if (!now.contains(name)) {
      events.push_back({"gone", name, "is gone", nlohmann::json::object()});
    }
  }
  first_ = false;
  states_ = std::move(now);
  return events;
}

}  // namespace ballast::ctl::watch_events
