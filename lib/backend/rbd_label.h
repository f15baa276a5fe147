// SPDX-License-Identifier: Apache-2.0
// The label (label.h) of an image in Ceph: the value ballast.log of its metadata, in hexadecimal
// digits. A snapshot has none of its own, and is of the past in any case, so nobody asks for it.
//
// Only the owner of the image's lock writes it. Whoever takes the image over fences the owner
// before (rbd_ownership.h) and reads the label afterwards, so it sees what the owner wrote last.
// These calls block (rbd_connection.h).
#pragma once

#include <optional>
#include <string_view>

#include "lib/backend/label.h"
#include "lib/backend/rbd_connection.h"
#include "lib/base/result.h"

namespace ballast::backend {

// Reads the label, and checks whether the image may be opened with it.
Result<std::optional<Label>> read_label(RbdConnection& connection, bool has_log);
// Writes it, or without one takes the present one away, if `address` has the lock. ENOTCONN: it has
// not; ESHUTDOWN: the cluster has fenced this client.
Result<void> write_label(RbdConnection& connection, std::string_view address,
                         const std::optional<Label>& label);

}  // namespace ballast::backend
