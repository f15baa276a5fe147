// SPDX-License-Identifier: Apache-2.0
// The subcommands of ballastctl log. As in commands.h; log.cpp calls them.
#pragma once

#include "targetcli-config/ballastctl/cli_fwd.h"

namespace ballast::ctl {

void add_log_status(CLI::App& log);
void add_log_verify(CLI::App& log);
void add_log_drain(CLI::App& log);
void add_log_abandon(CLI::App& log);
void add_log_relabel(CLI::App& log);
void add_log_export(CLI::App& log);

}  // namespace ballast::ctl
