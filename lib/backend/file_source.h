// SPDX-License-Identifier: Apache-2.0
// The store of a LUN that is a file or a block device: StoreOpener (store_opener.h) opens it, on a
// thread of its own.
#pragma once

#include <memory>

#include "lib/backend/factory.h"
#include "lib/backend/store_source.h"
#include "lib/base/result.h"

namespace ballast::backend {

// The kind's check and open (kinds.h). What `context` borrows outlives the backend.
Result<void> check_file_store(const StoreOrder& order);
std::unique_ptr<StoreSource> open_file_store(StoreOrder order, const OpenContext& context);

}  // namespace ballast::backend
