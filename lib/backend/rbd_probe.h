// SPDX-License-Identifier: Apache-2.0
// Asks an open image in Ceph what kind of disk it is, and whether the settings hold on which
// Ballast relies. These calls block (rbd_connection.h).
#pragma once

#include "lib/backend/backend.h"
#include "lib/backend/rbd_connection.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

struct RbdTraits {
  Bytes size;         // usable; without the header of an encrypted image
  Bytes object_size;  // the image is cut into objects of this size
};

// The error says which setting does not hold, and how to correct it; or that librbd failed.
Result<RbdTraits> probe(RbdConnection& connection);

// The geometry of a LUN of `size` bytes on such an image.
Geometry rbd_geometry(const RbdTraits& traits, Bytes size, Bytes logical_block);

}  // namespace ballast::backend
