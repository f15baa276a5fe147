// SPDX-License-Identifier: Apache-2.0
#include "lib/base/limits.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <span>
#include <utility>

#include "lib/base/values.h"

namespace ballast::config {

using namespace std::chrono_literals;

namespace {

constexpr Bytes least_bandwidth{std::uint64_t{64} << 10};

}  // namespace

Keys keys_of(Limits& limits) {
  static constexpr std::array window_words{Word{"auto", 0}};
  static constexpr std::array no_limit{Word{"none", 0}};
  constexpr Bytes most{std::uint64_t{1} << 40};
  constexpr bool live = true;
  return {
      {"deadline", Duration{limits.deadline, 100ms, 1h}, live},
      {"slow", Duration{limits.slow, 1ms, 1h}, live},
      {"stall_after", Duration{limits.stall_after, 10ms, 1h}, live},
      {"stall_window", Number{limits.stall_window, 1, 1024, window_words}, live},
      {"busy_for", Duration{limits.busy_for, 1s, 24h}, live},
      {"max_iops", Number{limits.max_iops, 1, 10'000'000, no_limit}, live},
      {"max_bandwidth", Size{limits.max_bandwidth, Bytes{}, most, Bytes{1}}, live},
      {"burst", Duration{limits.burst, 1ms, 1min}, live},
  };
}

Result<void> check_below_deadline(std::string_view name, Nanoseconds value, Nanoseconds deadline) {
  if (value < deadline) {
    return {};
  }
  return Error{EINVAL, fmt::format("key {}: {} is not below the deadline of {}: set {} lower, "
                                   "or deadline higher",
                                   name, format_duration(value), format_duration(deadline), name)};
}

Result<void> check(const Limits& limits) {
  const std::array thresholds{std::pair{"slow", limits.slow},
                              std::pair{"stall_after", limits.stall_after}};
  for (const auto& [name, value] : thresholds) {
    if (const Result<void> below = check_below_deadline(name, value, limits.deadline); !below) {
      return below.error();
    }
  }
  if (limits.max_bandwidth > Bytes{} && limits.max_bandwidth < least_bandwidth) {
    return Error{EINVAL,
                 fmt::format("key max_bandwidth: {} bytes a second would take longer than an "
                             "initiator waits for one large command: allow at least {}, or 0 for "
                             "no limit",
                             limits.max_bandwidth.value(), format_bytes(least_bandwidth))};
  }
  return {};
}

Limits limits_of(std::string_view text) {
  Limits limits;
  const Keys keys = keys_of(limits);
  const std::vector<std::string_view> parts = split(text, ';');
  for (const std::string_view setting : std::span{parts}.subspan(1)) {
    const std::size_t equals = setting.find('=');
    const Key* const key = find(keys, setting.substr(0, equals));
    if (key != nullptr && equals != std::string_view::npos) {
      (void)assign(*key, "", setting.substr(equals + 1));
    }
  }
  return limits;
}

}  // namespace ballast::config
