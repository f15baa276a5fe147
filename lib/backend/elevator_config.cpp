// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/elevator_config.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "lib/base/values.h"

namespace ballast::backend {

using namespace std::chrono_literals;

config::Keys keys_of(ElevatorConfig& config) {
  static constexpr std::array<std::string_view, 3> words{"off", "auto", "on"};
  constexpr bool live = true;
  return {{"elevator", config::Choice{config.use, words}},
          {"read_expire", config::Duration{config.read_expire, 1ms, 1min}, live},
          {"write_expire", config::Duration{config.write_expire, 1ms, 10min}, live},
          {"target_latency", config::Duration{config.target_latency, 1ms, 10s}, live}};
}

Result<void> check(const ElevatorConfig& config, Nanoseconds deadline) {
  if (config == ElevatorConfig{}) {
    return {};
  }
  const std::array limits{std::pair{"read_expire", config.read_expire},
                          std::pair{"write_expire", config.write_expire}};
  for (const auto& [name, value] : limits) {
    if (value >= deadline) {
      return Error{EINVAL, fmt::format("key {}: {} is not below the deadline of {}: set {} lower, "
                                       "or deadline higher",
                                       name, config::format_duration(value),
                                       config::format_duration(deadline), name)};
    }
  }
  return {};
}

bool is_wanted(const ElevatorConfig& config, const Geometry& store) {
  return config.use == ElevatorUse::on ||
         (config.use == ElevatorUse::automatic && store.rotational);
}

}  // namespace ballast::backend
