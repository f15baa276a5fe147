// SPDX-License-Identifier: Apache-2.0
// ballastctl standby: this gateway gives the shared store of a LUN back.
#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/commands.h"

namespace ballast::ctl {

void add_standby(CLI::App& app) {
  add_action(app, {"standby", "this gateway gives the shared store of a LUN back",
                   watch::bus::stand_by, "this gateway stands by now, and the store is free"});
}

}  // namespace ballast::ctl
