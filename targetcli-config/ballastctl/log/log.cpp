// SPDX-License-Identifier: Apache-2.0
// ballastctl log: looks at a write log (lib/write_log), and takes it away from its store. Of a LUN
// that is open it asks the daemon; else it works on files and devices.
#include "targetcli-config/ballastctl/commands.h"

#include <CLI/CLI.hpp>
#include "targetcli-config/ballastctl/log/verbs.h"

namespace ballast::ctl {

void add_log(CLI::App& app) {
  CLI::App* const log =
      app.add_subcommand("log", "a LUN's write log: look at it, or take it away from its store");
  log->require_subcommand(1);
  add_log_status(*log);
  add_log_verify(*log);
  add_log_drain(*log);
  add_log_abandon(*log);
  add_log_relabel(*log);
  add_log_export(*log);
}

}  // namespace ballast::ctl
