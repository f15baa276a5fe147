// SPDX-License-Identifier: Apache-2.0
// How the objects of this room lie in memory (lib/base/anatomy.h).
#pragma once

#include "lib/base/anatomy.h"

namespace ballast::handler {

struct Anatomy {
  static const anatomy::Type device;
  static const anatomy::Type ring;
};

}  // namespace ballast::handler
