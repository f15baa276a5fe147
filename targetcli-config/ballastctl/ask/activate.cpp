// SPDX-License-Identifier: Apache-2.0
// ballastctl activate: this gateway takes over the shared store of a LUN.
#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/commands.h"

namespace ballast::ctl {

void add_activate(CLI::App& app) {
  add_action(app, {"activate", "this gateway takes over the shared store of a LUN",
                   watch::bus::activate, "this gateway owns its store now"});
}

}  // namespace ballast::ctl
