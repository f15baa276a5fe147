// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/options.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "lib/base/values.h"

namespace ballast::ctl {
namespace {

void add_duration(CLI::App& command, const std::string& name, std::optional<Nanoseconds>& into,
                  Nanoseconds most, const std::string& description) {
  command
      .add_option_function<std::string>(
          name,
          [name, most, &into](const std::string& text) {
            const Result<Nanoseconds> parsed = config::parse_duration(name, text);
            if (!parsed) {
              throw CLI::ValidationError(parsed.error().message);
            }
            if (parsed.value() < std::chrono::seconds{1} || parsed.value() > most) {
              throw CLI::ValidationError(fmt::format("{} is {}: give 1s to {}", name, text,
                                                     config::format_duration(most)));
            }
            into = parsed.value();
          },
          description)
      ->type_name("DURATION");
}

}  // namespace

void add_goal_options(CLI::App& command, GoalOptions& goal) {
  add_duration(command, "--survive", goal.survive, longest_survive,
               "the length of the freeze to outlive: 90s, 10min, 1h; default: that of "
               "the last tune, else 10min");
  add_duration(command, "--deadline", goal.deadline, std::chrono::hours{1},
               "the deadline of the target's LUNs; default: that of the last tune, else 20s");
}

}  // namespace ballast::ctl
