// SPDX-License-Identifier: Apache-2.0
// How the objects of this room lie in memory (lib/base/anatomy.h).
#pragma once

#include "lib/base/anatomy.h"

namespace ballast::write_log {

struct Anatomy {
  static const anatomy::Type logged_store;
  static const anatomy::Type write_log;
  static const anatomy::Type contents;
  static const anatomy::Type ring;
  static const anatomy::Type position;
  static const anatomy::Type pacer;
  static const anatomy::Type writer;
  static const anatomy::Type slot;  // a block on its way
  static const anatomy::Type reaper;
};

}  // namespace ballast::write_log
