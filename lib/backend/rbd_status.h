// SPDX-License-Identifier: Apache-2.0
// What an error of librbd means for an operation of a LUN. Pure; any thread.
#pragma once

#include "lib/backend/op_status.h"
#include "lib/backend/rbd_config.h"
#include "lib/base/result.h"

namespace ballast::backend {

// Whether the cluster has fenced this client, or the lock that it held is gone. `result`: 0, or a
// negative errno.
bool says_fenced(RbdLock lock, int result) noexcept;

// The status with which the operation ends.
IoStatus rbd_status(OpKind kind, RbdLock lock, int result) noexcept;

}  // namespace ballast::backend
