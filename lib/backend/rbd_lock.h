// SPDX-License-Identifier: Apache-2.0
// Makes an open image ours: carries out the steps of RbdOwnership (rbd_ownership.h) with librbd.
// Blocks, as long as the cluster hangs (rbd_connection.h).
#pragma once

#include "lib/backend/rbd_connection.h"
#include "lib/backend/rbd_ownership.h"
#include "lib/base/result.h"

namespace ballast::backend {

// How long a fenced owner stays fenced: a year.
inline constexpr unsigned fence_seconds = 31536000;

// Returns the machine in the state `owner`. The error's errno_value is EBUSY if a live owner has
// the image.
Result<RbdOwnership> take_ownership(RbdConnection& connection);

// Takes our record out of the image, which is ours, before it is closed in order.
void end_ownership(RbdConnection& connection);

}  // namespace ballast::backend
