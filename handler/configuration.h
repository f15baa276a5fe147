// SPDX-License-Identifier: Apache-2.0
// What the daemon's configuration string, /etc/ballast/ballast.conf and the defaults say of a LUN.
//
// Reads the file, so it may block as long as the root file system does: main thread only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/base/result.h"
#include "lib/lun/config.h"
#include "lib/lun/profiles.h"

namespace ballast::handler {

struct Configuration {
  lun::LunConfig config;
  // As they were read. None: the string alone counts, because of `warning`.
  std::optional<lun::Profiles> profiles;
  std::string warning;
};

// Of a LUN that a user is about to make: whatever is wrong is an error.
Result<lun::LunConfig> new_configuration(std::string_view daemon_string);
// Of a LUN that is to be opened, which may have data: if the file is wrong, or lacks the profile,
// the string alone counts. Else a mistake in the file would take every LUN away at the next boot.
Result<Configuration> opening_configuration(std::string_view daemon_string);
// Of an open LUN whose string changes. Live settings are those of the file as it is now; the others
// those of the file as it was when the LUN was opened, because they could not change.
Result<lun::LunConfig> changed_configuration(const std::optional<lun::Profiles>& at_opening,
                                             std::string_view daemon_string);

}  // namespace ballast::handler
