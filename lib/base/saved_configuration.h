// SPDX-License-Identifier: Apache-2.0
// Where rtslib keeps the configuration of targets, which is restored at boot: Debian's path, and
// that of the others.
#pragma once

#include <array>

namespace ballast {

inline constexpr std::array saved_configuration_files{"/etc/rtslib-fb-target/saveconfig.json",
                                                      "/etc/target/saveconfig.json"};

}  // namespace ballast
