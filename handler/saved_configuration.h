// SPDX-License-Identifier: Apache-2.0
// What targetcli and targetctl have saved, and restore at boot: rtslib's JSON file.
//
// A LUN that it names was there before. Of such a LUN a missing file is never created, also where
// Ballast has no record of it yet (lib/backend/store_record.h). Blocking calls: for an errand.
#pragma once

#include <string>

namespace ballast::handler {

// Whether one of rtslib's usual files (/etc/rtslib-fb-target/saveconfig.json and
// /etc/target/saveconfig.json; environment BALLAST_SAVED_CONFIGURATION: another one instead) has a
// LUN of ours on this path. A file that is missing or is not JSON names none.
bool saved_configuration_has(const std::string& path);

}  // namespace ballast::handler
