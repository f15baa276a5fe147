// SPDX-License-Identifier: Apache-2.0
// The subcommands of ballastctl, one file each: <name>.cpp defines add_<name>, main.cpp calls it.
//
// add_<name> registers the subcommand with its own options and a callback that does the work. A
// callback prints to standard output and returns, or ends in fail() (output.h), or throws
// CLI::ValidationError for wrong use that only it can see. Options live as long as the App: keep
// them in a shared_ptr that the callback holds.
#pragma once

#include <CLI/CLI.hpp>

namespace ballast::ctl {

void add_list(CLI::App& app);
void add_inflight(CLI::App& app);
void add_slow(CLI::App& app);
void add_stats(CLI::App& app);
void add_tasks(CLI::App& app);
void add_fault(CLI::App& app);

}  // namespace ballast::ctl
