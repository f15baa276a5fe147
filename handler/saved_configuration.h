// SPDX-License-Identifier: Apache-2.0
// Reads the configuration that targetcli and targetctl have saved and restore at boot: rtslib's
// JSON file.
//
// A LUN in this file existed before. Ballast never creates a missing file for such a LUN, even if
// Ballast has no record of it yet (lib/backend/store_record.h). These calls block: make them from
// an errand (lib/base/errand.h).
#pragma once

#include <string>

namespace ballast::handler {

// Whether one of rtslib's usual files has a LUN of ours on this path. The files are
// /etc/rtslib-fb-target/saveconfig.json and /etc/target/saveconfig.json, or instead the one that
// the environment variable BALLAST_SAVED_CONFIGURATION names. A file that is missing or is not JSON
// has no LUNs.
bool saved_configuration_has(const std::string& path);

}  // namespace ballast::handler
