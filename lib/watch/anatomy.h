// SPDX-License-Identifier: Apache-2.0
// How the objects of this room lie in memory (lib/base/anatomy.h).
#pragma once

#include "lib/base/anatomy.h"

namespace ballast::watch {

struct Anatomy {
  static const anatomy::Type limits;  // of lib/base, which describes nothing of its own
  static const anatomy::Type record;
  static const anatomy::Type counters;
  static const anatomy::Type mailbox;
};

}  // namespace ballast::watch
