// SPDX-License-Identifier: Apache-2.0
// --survive and --deadline, in one wording for doctor and tune.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "targetcli-config/ballastctl/machine/wanted.h"

namespace ballast::ctl {

// `goal` lives as long as the App. A wrong value is wrong use.
void add_goal_options(CLI::App& command, Goal& goal);

}  // namespace ballast::ctl
