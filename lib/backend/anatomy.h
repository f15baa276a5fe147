// SPDX-License-Identifier: Apache-2.0
// How the objects of this room lie in memory (lib/base/anatomy.h).
#pragma once

#include "lib/base/anatomy.h"

namespace ballast::backend {

struct Anatomy {
  static const anatomy::Type shared_access;
  static const anatomy::Type session;
  static const anatomy::Type image;  // the place of a pointer to an image's session
  static const anatomy::Type nbd_links;
};

}  // namespace ballast::backend
