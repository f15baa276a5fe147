// SPDX-License-Identifier: Apache-2.0
// The options --survive and --deadline, in the same words for doctor and tune.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "targetcli-config/ballastctl/machine/wanted.h"

namespace ballast::ctl {

// `goal` must live as long as the App. A value that cannot be parsed is wrong use.
void add_goal_options(CLI::App& command, Goal& goal);

}  // namespace ballast::ctl
