// SPDX-License-Identifier: Apache-2.0
// The daemon's configuration string begins with the subtype,
// "ballast/file=/srv/vol0.raw;cache=direct"; what follows is lib/base/config.h's. A newline at its
// end is what `echo … > attrib/dev_config` leaves there, and means nothing.
#pragma once

#include <string_view>

namespace ballast::handler {

constexpr std::string_view config_string(std::string_view daemon_string) {
  constexpr std::string_view subtype = "ballast/";
  if (daemon_string.starts_with(subtype)) {
    daemon_string.remove_prefix(subtype.size());
  }
  if (daemon_string.ends_with('\n')) {
    daemon_string.remove_suffix(1);
  }
  return daemon_string;
}

}  // namespace ballast::handler
