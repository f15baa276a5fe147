// SPDX-License-Identifier: Apache-2.0
// Walks through a folder of configfs. Blocks.
#pragma once

#include <functional>
#include <string>

#include "targetcli-config/ballastctl/machine/files.h"

namespace ballast::ctl::report {

// Calls `visit` with the path and the name of each file below `folder`. Does not follow symbolic
// links, and enters a folder if `enters` returns true for its name.
void walk(const Files& files, const std::string& folder,
          const std::function<bool(const std::string& name)>& enters,
          const std::function<void(const std::string& path, const std::string& name)>& visit);

}  // namespace ballast::ctl::report
