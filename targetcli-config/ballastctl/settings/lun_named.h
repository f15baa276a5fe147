// SPDX-License-Identifier: Apache-2.0
// The LUNs in configfs that an operator names.
#pragma once

#include <string>
#include <vector>

#include "targetcli-config/ballastctl/machine/target.h"

namespace ballast::ctl {

// All of them if `name` is empty. If there is none of that name, it ends in fail().
std::vector<TargetLun> luns_named(const Files& files, const std::string& name);

}  // namespace ballast::ctl
