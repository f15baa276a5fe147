// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/settings/lun_named.h"

#include <fmt/format.h>

#include <algorithm>

#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {

std::vector<TargetLun> luns_named(const Files& files, const std::string& name) {
  std::vector<TargetLun> luns = target_luns(files);
  if (name.empty()) {
    return luns;
  }
  const bool found =
      std::ranges::any_of(luns, [&](const TargetLun& its) { return its.name == name; });
  if (!found) {
    std::string names;
    for (const TargetLun& lun : luns) {
      names += (names.empty() ? "" : ", ") + printable(lun.name);
    }
    fail(fmt::format(
        "there is no LUN \"{}\"; {}", printable(name),
        names.empty() ? "configfs has no backstore user:ballast" : "there are " + names));
  }
  std::erase_if(luns, [&](const TargetLun& its) { return its.name != name; });
  return luns;
}

}  // namespace ballast::ctl
