// SPDX-License-Identifier: Apache-2.0
// The subcommands of ballastctl. Each has a file <name>.cpp in one of the folders, which defines
// add_<name>(); main.cpp calls it.
//
// add_<name>() registers the subcommand with its own options and with a callback that does the
// work. The callback prints to standard output and returns. If the work fails, it calls fail()
// (output.h). For wrong use that only the callback can see, it throws CLI::ValidationError. The
// options must live as long as the App, so a shared_ptr that the callback holds owns them.
#pragma once

#include "targetcli-config/ballastctl/cli_fwd.h"

namespace ballast::ctl {

void add_list(CLI::App& app);
void add_inflight(CLI::App& app);
void add_slow(CLI::App& app);
void add_stats(CLI::App& app);
void add_tasks(CLI::App& app);
void add_fault(CLI::App& app);
void add_activate(CLI::App& app);
void add_standby(CLI::App& app);
void add_config(CLI::App& app);
void add_set(CLI::App& app);
void add_check(CLI::App& app);
void add_doctor(CLI::App& app);
void add_tune(CLI::App& app);
void add_drill(CLI::App& app);
void add_watch(CLI::App& app);
void add_history(CLI::App& app);
void add_report(CLI::App& app);
void add_log(CLI::App& app);
void add_metrics(CLI::App& app);
void add_core(CLI::App& app);

}  // namespace ballast::ctl
