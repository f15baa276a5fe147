// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/slow_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <optional>

#include "lib/base/log.h"
#include "lib/watch/initiator.h"

namespace ballast::watch {

namespace {

// Replaces all but printable ASCII. A log is read on terminals, which control characters and cut
// multibyte characters would disturb.
std::string printable(std::string_view text) {
  std::string clean{text};
  std::ranges::replace_if(
      clean, [](char c) { return c < ' ' || c > '~'; }, '?');
  return clean;
}

// About three figures, so that an operator compares two times at a glance.
std::string readable(Nanoseconds time) {
  const auto ns = static_cast<double>(std::max(time, Nanoseconds{}).count());
  if (ns >= 9.995e9) {
    return fmt::format("{:.1f} s", ns / 1e9);
  }
  if (ns >= 0.9995e9) {
    return fmt::format("{:.2f} s", ns / 1e9);
  }
  if (ns >= 0.9995e6) {
    return fmt::format("{:.0f} ms", ns / 1e6);
  }
  return fmt::format("{:.0f} us", ns / 1e3);
}

std::string readable(BlockCount blocks, Bytes block) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double size = static_cast<double>(blocks.value()) * static_cast<double>(block.value());
  std::size_t unit = 0;
  while (size >= 1024 && unit + 1 < std::size(units)) {
    size /= 1024;
    ++unit;
  }
  return fmt::format("{:.4g} {}", size, units[unit]);
}

// "command 4711, WRITE(10) of 8 blocks (4 KiB) at lba 2048"
std::string description(const CommandRecord& record, Bytes block) {
  std::string text = fmt::format("command {}, {}", record.number, record.name);
  if (record.has_range) {
    if (record.blocks > BlockCount{}) {
      text +=
          fmt::format(" of {} block{} ({})", record.blocks.value(),
                      record.blocks == BlockCount{1} ? "" : "s", readable(record.blocks, block));
    }
    text += fmt::format(" at lba {}", record.lba.value());
  }
  return text;
}

struct Stages {
  std::string all;      // " (queue 20 ms, backend 980 ms)"
  std::string longest;  // " (backend 980 ms)"
};

Stages describe_stages(const CommandRecord& record, TimePoint now) {
  std::string list;
  std::string longest;
  Nanoseconds most{};
  for (std::size_t i = 0; i < stage_count; ++i) {
    const auto stage = static_cast<Stage>(i);
    const Nanoseconds time = record.time_in(stage, now);
    if (time <= record.age(now) / 1000) {
      continue;
    }
    const std::string one = fmt::format("{} {}", to_string(stage), readable(time));
    list += list.empty() ? one : ", " + one;
    if (time > most) {
      most = time;
      longest = one;
    }
  }
  const auto in_brackets = [](const std::string& text) {
    return text.empty() ? text : " (" + text + ")";
  };
  return {in_brackets(list), in_brackets(longest)};
}

}  // namespace

SlowLog::SlowLog(std::string_view lun, Bytes block) : lun_{printable(lun)}, block_{block} {}

bool SlowLog::may_speak(TimePoint now) {
  const std::optional<std::uint64_t> left_out = limit_.next(now);
  left_out_ = left_out.value_or(0);
  left_out_total_ += left_out.has_value() ? 0U : 1U;
  return left_out.has_value();
}

void SlowLog::speak(std::string_view command, std::initializer_list<std::string_view> stages,
                    std::string_view ending) const {
  constexpr std::size_t name_kept = 8;
  const std::string note =
      left_out_ == 0 ? ": slow: " : fmt::format(": slow ({} left out): ", left_out_);
  const std::size_t shortest_name = std::min(lun_.size(), name_kept);
  const std::size_t fixed = note.size() + command.size() + ending.size();
  std::string_view shown;
  for (const std::string_view candidate : stages) {
    if (shortest_name + fixed + candidate.size() <= longest_line) {
      shown = candidate;
      break;
    }
  }
  const std::size_t room = longest_line - std::min(longest_line, fixed + shown.size());
  const std::string_view name = std::string_view{lun_}.substr(0, std::max(room, shortest_name));
  std::string line = fmt::format("{}{}{}{}{}", name, note, command, shown, ending);
  line.resize(std::min(line.size(), longest_line));
  log_plain(LogLevel::warning, line);
}

template <class Say>
void SlowLog::try_to(Say say) noexcept {
  try {
    say();
  } catch (const std::bad_alloc&) {
    ++left_out_total_;
  }
}

void SlowLog::begin(const CommandRecord& record, TimePoint now) noexcept {
  ++begun_;
  try_to([&] {
    if (begun_hook_) {
      begun_hook_();
    }
  });
  if (may_speak(now)) {
    try_to([&] { say_begun(record, now); });
  }
}

void SlowLog::say_begun(const CommandRecord& record, TimePoint now) const {
  const Nanoseconds age = record.age(now);
  const Stages stages = describe_stages(record, now);
  const std::string ending =
      age < error_handler_begins
          ? fmt::format("; the initiator's error handler begins in {} by default",
                        readable(error_handler_begins - age))
          : "; the initiator's error handler has begun by default";
  speak(fmt::format("{}, is {} old", description(record, block_), readable(age)),
        {stages.all, stages.longest}, ending);
}

void SlowLog::store_waits_for(std::string_view what, TimePoint now) noexcept {
  if (what.empty()) {
    return;
  }
  try_to([&] {
    store_waits_for_ = printable(what);
    store_asked_ = now;
    if (may_speak(now)) {
      speak("the storage's client waits for " + store_waits_for_, {}, "");
    }
  });
}

void SlowLog::end(const CommandRecord& record, TimePoint now, const Ending& ending) noexcept {
  if (!record.reported && !record.orphan) {
    ++begun_;
  }
  SlowRequest& request = ring_[ended_ % kept];
  request = SlowRequest{record, now, ending, {}};
  if (store_asked_ > record.arrived) {
    try_to([&] { request.waited_for = store_waits_for_; });
  }
  ++ended_;
  if (may_speak(now)) {
    try_to([&] { say_ended(record, now, ending); });
  }
}

void SlowLog::say_ended(const CommandRecord& record, TimePoint now, const Ending& ending) const {
  const Stages stages = describe_stages(record, now);
  speak(fmt::format("{}, {}", description(record, block_),
                    sentence(ending, readable(record.age(now)))),
        {stages.all, stages.longest}, "");
}

std::vector<SlowRequest> SlowLog::recent() const {
  std::vector<SlowRequest> requests;
  const std::uint64_t count = std::min<std::uint64_t>(ended_, kept);
  requests.reserve(count);
  for (std::uint64_t i = ended_ - count; i < ended_; ++i) {
    requests.push_back(ring_[i % kept]);
  }
  return requests;
}

}  // namespace ballast::watch
