// SPDX-License-Identifier: Apache-2.0
// Turns the plugin's reports into events, and events into lines.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/watch/watch.h"

namespace ballast::ctl::watch_events {
namespace {

std::string duration(const nlohmann::json& nanoseconds) {
  return duration_text(nanoseconds.get<std::uint64_t>());
}

std::string place(const nlohmann::json& command) {
  std::string text = command.at("operation").get<std::string>();
  if (!command.at("lba").is_null()) {
    text += fmt::format(" at {}, {} blocks", command.at("lba").get<std::uint64_t>(),
                        command.at("blocks").get<std::uint64_t>());
  }
  return text;
}

std::string stall_text(const nlohmann::json& lun) {
  const nlohmann::json& command = lun.at("command");
  return fmt::format("stalled: {}, is {} old, at {} for {}; {} commands unanswered", place(command),
                     duration(command.at("age_ns")), command.at("stage").get<std::string>(),
                     duration(command.at("stage_for_ns")),
                     lun.at("unanswered").get<std::uint64_t>());
}

std::string recovery_text(const nlohmann::json& lun) {
  const nlohmann::json& cost = lun.at("cost");
  const auto count = [&](const char* member) { return cost.at(member).get<std::uint64_t>(); };
  return fmt::format(
      "no longer stalled after {}: {} commands held, {} answered early, {} adopted, {} errors of "
      "the store",
      duration(lun.at("was_stalled_for_ns")), count("held"), count("answered_early"),
      count("adopted"), count("store_errors"));
}

// "slow: WRITE(10) at 2048, 8 blocks, took 3.2 s, <how it was answered>: backend 3.2 s"
std::string slow_text(const nlohmann::json& request) {
  std::string text = place(request);
  text += fmt::format(", took {}, {}: ", duration(request.at("took_ns")),
                      request.at("answer").get<std::string>());
  const char* comma = "";
  for (const auto& [stage, time] : request.at("time_in_ns").items()) {
    if (time.get<std::uint64_t>() > 0) {
      text += fmt::format("{}{} {}", comma, stage, duration(time));
      comma = ", ";
    }
  }
  return "slow: " + text;
}

// A LUN that did not answer this time is as it was.
template <class T>
void keep_silent(const nlohmann::json& document, const std::map<std::string, T>& before,
                 std::map<std::string, T>& now) {
  for (const auto& name : document.value("silent", std::vector<std::string>{})) {
    if (const auto known = before.find(name); known != before.end()) {
      now.insert(*known);
    }
  }
}

std::tm local_time(std::int64_t unix_ns) {
  const std::time_t seconds = unix_ns / 1'000'000'000;
  std::tm broken{};
  ::localtime_r(&seconds, &broken);
  return broken;
}

}  // namespace

std::string as_text(const Event& event, std::int64_t unix_ns) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:03}  {}: {}\n", local_time(unix_ns),
                     unix_ns / 1'000'000 % 1000, printable(event.subject), printable(event.text));
}

std::string iso_time(std::int64_t unix_ns) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}{:%z}", local_time(unix_ns),
                     unix_ns / 1'000'000 % 1000, local_time(unix_ns));
}

std::string as_json(const Event& event, std::int64_t unix_ns) {
  const nlohmann::json line{{"time", iso_time(unix_ns)}, {"unix_ns", unix_ns},
                            {"event", event.event},      {"subject", event.subject},
                            {"text", event.text},        {"details", event.details}};
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::vector<Event> LunWatcher::take_list(const std::string& answer) {
  return take(answer, &LunWatcher::compare_states);
}

std::vector<Event> LunWatcher::take_slow(const std::string& answer) {
  return take(answer, &LunWatcher::compare_slow);
}

std::vector<Event> LunWatcher::take_signal(const std::string& document) {
  return take(document, &LunWatcher::hear_signal);
}

// The caller is the loop of a C library, through which no exception may pass.
std::vector<Event> LunWatcher::take(const std::string& answer, Compare compare) {
  try {
    const nlohmann::json document = nlohmann::json::parse(answer);
    if (document.at("version").get<int>() == 1) {
      return (this->*compare)(document);
    }
  } catch (const nlohmann::json::exception&) {
    // The event below says it.
  }
  if (std::exchange(told_unreadable_, true)) {
    return {};
  }
  return {{"unreadable", "tcmu-runner",
           "its answer cannot be read: install ballastctl and handler_ballast.so of the same "
           "version, and restart tcmu-runner"}};
}

// What a LUN's answer to List tells: only that it is stalled, or is not.
std::vector<Event> LunWatcher::compare_states(const nlohmann::json& document) {
  std::vector<Event> events;
  std::map<std::string, State> now;
  for (const nlohmann::json& lun : document.at("luns")) {
    const auto name = lun.at("name").get<std::string>();
    const State state{lun.at("state") == "stalled", lun.value("at_ns", std::uint64_t{0})};
    const auto known = states_.find(name);
    const State before = known == states_.end() ? State{} : known->second;
    const bool is_new =
        state.stalled != before.stalled && (state.at_ns == 0 || state.at_ns > before.at_ns);
    now[name] = is_new ? state : before;
    if (!is_new) {
      continue;
    }
    const nlohmann::json& age = lun.at("stalled_for_ns");
    const auto unanswered = lun.at("unanswered").get<std::uint64_t>();
    events.push_back(
        {state.stalled ? "stalled" : "recovered", name,
         state.stalled ? fmt::format("stalled for {}, {} commands unanswered",
                                     duration(age.is_null() ? nlohmann::json(0) : age), unanswered)
                       : "no longer stalled",
         lun});
  }
  keep_silent(document, states_, now);
  states_ = std::move(now);
  return events;
}

std::vector<Event> LunWatcher::hear_signal(const nlohmann::json& document) {
  std::vector<Event> events;
  for (const nlohmann::json& lun : document.at("luns")) {
    const auto name = lun.at("name").get<std::string>();
    const bool stalled = lun.contains("command");
    State& state = states_[name];
    // A plugin that was started anew counts its time from another beginning, but then forget() was
    // called.
    if (state.stalled != stalled) {
      events.push_back({stalled ? "stalled" : "recovered", name,
                        stalled ? stall_text(lun) : recovery_text(lun), lun});
    }
    state = {stalled, lun.at("at_ns").get<std::uint64_t>()};
  }
  return events;
}

std::vector<Event> LunWatcher::compare_slow(const nlohmann::json& document) {
  std::vector<Event> events;
  std::map<std::string, Slow> now;
  for (const nlohmann::json& lun : document.at("luns")) {
    const auto name = lun.at("name").get<std::string>();
    Slow& slow = now[name];
    slow.begun = lun.at("slow_begun").get<std::uint64_t>();
    const auto before = slow_.find(name);
    // If the count went down, the LUN was opened anew and counts from 0.
    const bool known = before != slow_.end() && before->second.begun <= slow.begun;
    if (known && slow.begun > before->second.begun) {
      const std::uint64_t more = slow.begun - before->second.begun;
      events.push_back({"slow_begun",
                        name,
                        fmt::format("{} more {} {} now slow: unanswered for more than {}", more,
                                    more == 1 ? "command" : "commands", more == 1 ? "is" : "are",
                                    duration(lun.at("slow_ns"))),
                        {{"count", more}}});
    }
    for (const nlohmann::json& request : lun.at("requests")) {
      const std::pair key{request.at("number").get<std::uint64_t>(),
                          request.at("answer").get<std::string>()};
      slow.ended.insert(key);
      if (known && !before->second.ended.contains(key)) {
        events.push_back({"slow", name, slow_text(request), request});
      }
    }
  }
  keep_silent(document, slow_, now);
  slow_ = std::move(now);
  return events;
}

void LunWatcher::forget() {
  states_.clear();
  slow_.clear();
  told_unreadable_ = false;
}

}  // namespace ballast::ctl::watch_events
