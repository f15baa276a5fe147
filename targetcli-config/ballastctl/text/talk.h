// SPDX-License-Identifier: Apache-2.0
// Where a verb says what is beside its result: --json has standard output for itself.
#pragma once

#include <cstdio>

namespace ballast::ctl {

inline std::FILE* talk(bool json) {
  return json ? stderr : stdout;
}

}  // namespace ballast::ctl
