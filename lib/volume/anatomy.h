// SPDX-License-Identifier: Apache-2.0
// How the objects of this room lie in memory (lib/base/anatomy.h), and where those of other rooms
// have its parts.
#pragma once

#include <cstddef>

#include "lib/base/anatomy.h"
#include "lib/volume/request.h"

namespace ballast::volume {

BALLAST_BEGIN_ANATOMY
struct Anatomy {
  static const anatomy::Type volume;
  static const anatomy::Type hold;

  static constexpr std::size_t request_hold = offsetof(Request, hold_);
};
BALLAST_END_ANATOMY

}  // namespace ballast::volume
