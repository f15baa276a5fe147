// SPDX-License-Identifier: Apache-2.0
// Checks, before an operator makes a LUN, whether a write log could be at a path. It changes
// nothing and blocks: call it in an errand.
#pragma once

#include "lib/backend/store_source.h"
#include "lib/base/result.h"
#include "lib/write_log/log_config.h"

namespace ballast::write_log {

// `order` is the store's. The label of a block device is not looked at, because the size of the LUN
// is not known.
Result<void> check_log(const backend::StoreOrder& order, const LogConfig& log);

}  // namespace ballast::write_log
