// SPDX-License-Identifier: Apache-2.0
// The options --survive and --deadline, in the same words for doctor and tune.
#pragma once

#include <optional>
#include <string>

#include "targetcli-config/ballastctl/cli_fwd.h"
#include "targetcli-config/ballastctl/machine/wanted.h"

namespace ballast::ctl {

struct GoalOptions {
  std::optional<Nanoseconds> survive;
  std::optional<Nanoseconds> deadline;

  // What was not given is as in `usual`.
  Goal over(const Goal& usual) const {
    return {.survive = survive.value_or(usual.survive),
            .deadline = deadline.value_or(usual.deadline)};
  }
};

// `goal` must live as long as the App. A value that cannot be parsed is wrong use.
void add_goal_options(CLI::App& command, GoalOptions& goal);

}  // namespace ballast::ctl
