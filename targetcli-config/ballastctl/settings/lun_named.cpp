// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/settings/lun_named.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "targetcli-config/ballastctl/machine/patience.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {

std::vector<TargetLun> luns_named(const Files& files, const std::string& name) {
  std::optional<std::vector<TargetLun>> seen = look_with_patience(files, target_luns);
  if (!seen) {
    fail(fmt::format("which LUNs there are is not known: {}; try again", files_hang));
  }
  std::vector<TargetLun> luns = std::move(*seen);
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
