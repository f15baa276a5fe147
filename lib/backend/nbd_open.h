// SPDX-License-Identifier: Apache-2.0
// The StoreSource of a LUN on an export of an NBD server.
//
// An errand connects (attempts.h) for as long as that takes. A server that cannot be reached, or
// does not answer, is tried again. What will fail until somebody changes it refuses the LUN: no
// such export, TLS refused, a wrong key, too small, other blocks. While the daemon starts it only
// delays the LUN, because the server may be put right (StoreOrder::at_start).
#pragma once

#include <memory>

#include "lib/backend/factory.h"
#include "lib/backend/store_source.h"
#include "lib/base/result.h"

namespace ballast::backend {

// The functions `check` and `open` of the kind `nbd` (kinds.h). OpenContext (factory.h) tells
// lifetimes.
Result<void> check_nbd_store(const StoreOrder& order);
std::unique_ptr<StoreSource> open_nbd_store(StoreOrder order, const OpenContext& context);

}  // namespace ballast::backend
