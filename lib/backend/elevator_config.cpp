// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/elevator_config.h"

#include <array>
#include <string_view>
#include <utility>

#include "lib/base/limits.h"

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
    if (const Result<void> below = config::check_below_deadline(name, value, deadline); !below) {
      return below.error();
    }
  }
  return {};
}

bool is_wanted(const ElevatorConfig& config, const Geometry& store) {
  return config.use == ElevatorUse::on ||
         (config.use == ElevatorUse::automatic && store.rotational);
}

}  // namespace ballast::backend
