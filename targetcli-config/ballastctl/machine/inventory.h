// SPDX-License-Identifier: Apache-2.0
// Ballast's part of a target: which backstores there are and where initiators see them; as it is
// now, and as it was saved for the next boot. Blocks; single-threaded.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "lib/base/result.h"
#include "targetcli-config/ballastctl/machine/files.h"
#include "targetcli-config/ballastctl/machine/target.h"

namespace ballast::ctl {

struct Inventory {
  std::map<std::string, std::string> backstores;  // name, configuration without "ballast/"
  std::set<PortalLun> luns;
  std::set<Export> mapped;   // by an ACL
  std::set<Portal> portals;  // of the enabled portal groups that have such a LUN
};

// As configfs has it.
Inventory inventory_now(const Files& files);

struct Saved {
  std::string file;
  Inventory inventory;
};
// As rtslib's saveconfig.json has it. nullopt: there is no such file. The error says which file
// cannot be used, and why.
Result<std::optional<Saved>> inventory_saved(const Files& files);

}  // namespace ballast::ctl
