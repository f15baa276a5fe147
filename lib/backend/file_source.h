// SPDX-License-Identifier: Apache-2.0
// The StoreSource of a LUN on a file or a block device. StoreOpener (store_opener.h) opens the
// store on a thread of its own.
#pragma once

#include <memory>

#include "lib/backend/factory.h"
#include "lib/backend/store_source.h"
#include "lib/base/result.h"

namespace ballast::backend {

// The functions `check` and `open` of the kind `file` (kinds.h). OpenContext (factory.h) tells
// lifetimes.
Result<void> check_file_store(const StoreOrder& order);
std::unique_ptr<StoreSource> open_file_store(StoreOrder order, const OpenContext& context);

}  // namespace ballast::backend
