// SPDX-License-Identifier: Apache-2.0
// The page at /: the LUNs of this machine, for a person with a browser.
//
// It is HTML without scripts, and loads nothing. All that comes from outside is escaped. Pure; a
// member of the plugin's answers that is not as documented throws nlohmann's exception.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/machine/target.h"

namespace ballast::exporter {

struct View {
  std::string host;            // this machine's name
  std::string plugin_version;  // "": it does not answer
  std::string tool_version;
  std::vector<std::string> notes;  // sentences: what is missing, and why
  ctl::Reading list;               // the answers to `List` and `InFlight`; empty: none
  ctl::Reading in_flight;
  std::vector<ctl::Export> exports;
};

std::string page(const View& view);

}  // namespace ballast::exporter
