// SPDX-License-Identifier: Apache-2.0
// How the objects of this room lie in memory (lib/base/anatomy.h).
#pragma once

#include "lib/base/anatomy.h"

namespace ballast::lun {

struct Anatomy {
  static const anatomy::Type lun;
  static const anatomy::Type room;
};

}  // namespace ballast::lun
