// SPDX-License-Identifier: Apache-2.0
// How the objects of this room lie in memory (lib/base/anatomy.h).
#pragma once

#include "lib/base/anatomy.h"

namespace ballast::scsi {

struct Anatomy {
  static const anatomy::Type task_set;
  static const anatomy::Type slot;
};

}  // namespace ballast::scsi
