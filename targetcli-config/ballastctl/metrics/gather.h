// SPDX-License-Identifier: Apache-2.0
// Gathers all metrics of this machine (families.h). Asks the plugin, and looks at the kernel's
// files. Blocks; single-threaded.
#pragma once

#include <string>

#include "targetcli-config/ballastctl/machine/files.h"
#include "targetcli-config/ballastctl/metrics/families.h"

namespace ballast::ctl::metrics {

struct Gathered {
  Families families;
  // Why the LUNs are missing, a sentence; empty: they are not, or this machine is no target.
  std::string missing;
};
// Whatever is missing, the rest is there. `ballast_up` says whether the plugin answered.
Gathered gather(const Files& files);

}  // namespace ballast::ctl::metrics
