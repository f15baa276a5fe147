// SPDX-License-Identifier: Apache-2.0
// From the string that the daemon hands over to the one that lib/base/config.h speaks of.
//
// The daemon's begins with the subtype: "ballast/file:/srv/vol0.raw;cache=direct". And targetcli's
// library refuses any ':' in it (rtslib-fb, UserBackedStorageObject), so what an operator types has
// none: after the scheme stands '=' or nothing instead, and an absolute path alone is a file.
//
//   ballast//srv/vol0.raw            file:/srv/vol0.raw
//   ballast/file=/srv/vol0.raw       file:/srv/vol0.raw
//   ballast/file/srv/vol0.raw        file:/srv/vol0.raw
//   ballast/memory                   memory:
//   ballast/null;queue_depth=32      null:;queue_depth=32
//   ballast/file:/srv/vol0.raw       file:/srv/vol0.raw
//
// Anything else is left as it is: the grammar's own messages explain what is wrong with it.
#pragma once

#include <string>
#include <string_view>

namespace ballast::handler {

std::string config_string(std::string_view daemon_string);

// Whether the daemon's own option tcmur_cmd_time_out stands in the string. The daemon takes it out
// before open(); with it, it keeps every command in a list that only its own completion empties, so
// that commands answered through libtcmu, as ours are, leave freed memory in it. check_config sees
// the string before, and refuses.
bool has_daemon_timeout(std::string_view daemon_string);

}  // namespace ballast::handler
