// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/output.h"

namespace ballast::ctl {

void add_fault(CLI::App& app) {
  app.add_subcommand("fault", "faults on command")->callback([] { fail("not yet"); });
}

}  // namespace ballast::ctl
