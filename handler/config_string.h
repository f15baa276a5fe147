// SPDX-License-Identifier: Apache-2.0
// Takes the daemon's prefix off a configuration string.
//
// The daemon's string begins with the subtype: "ballast/file=/srv/vol0.raw;cache=direct". The rest
// is a configuration string of lib/lun/config.h. `echo … > attrib/dev_config` leaves a newline at
// the end, which means nothing.
#pragma once

#include <string_view>

#include "lib/lun/config.h"

namespace ballast::handler {

constexpr std::string_view config_string(std::string_view daemon_string) {
  if (daemon_string.starts_with(lun::daemon_prefix)) {
    daemon_string.remove_prefix(lun::daemon_prefix.size());
  }
  if (daemon_string.ends_with('\n')) {
    daemon_string.remove_suffix(1);
  }
  return daemon_string;
}

}  // namespace ballast::handler
