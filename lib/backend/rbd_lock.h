// SPDX-License-Identifier: Apache-2.0
// Makes an open image ours, gives it back, and reads whose it is: carries out the steps of
// RbdOwnership (rbd_ownership.h) with librbd. Each call blocks, as long as the cluster hangs
// (rbd_connection.h).
#pragma once

#include <optional>
#include <string>

#include "lib/backend/access_session.h"
#include "lib/backend/rbd_connection.h"
#include "lib/backend/rbd_ownership.h"
#include "lib/base/result.h"

namespace ballast::backend {

// How long a fenced owner stays fenced: a year.
inline constexpr unsigned fence_seconds = 31536000;

// Returns our address, as the lock has it. The error's errno_value is EBUSY if a live owner has the
// image, and is to be spared. After any error the lock may be ours all the same, so close the
// connection.
Result<std::string> take_ownership(RbdConnection& connection, RbdOwnership::Manner manner,
                                   const TakeOrder& order);

// Takes our record out of the image, which is ours, before it is closed in order.
void end_ownership(RbdConnection& connection);

struct ImageOwner {
  std::string address;  // of the lock's owner; empty: nobody has the lock
  std::optional<OwnerRecord> record;
};
Result<ImageOwner> read_owner(RbdConnection& connection);

}  // namespace ballast::backend
