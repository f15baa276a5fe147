// SPDX-License-Identifier: Apache-2.0
// What the daemon's plugin asks of a StoreOpener: where records are, and what is saved.
#pragma once

#include <string>

#include "lib/backend/store_source.h"

namespace ballast::handler {

// Records are in StoreRecords::default_folder, or in what the environment's BALLAST_RECORDS names
// (for tests; empty: none).
backend::StoreOrder store_order(const backend::StoreConfig& config, const std::string& lun,
                                Bytes size, Bytes logical_block, bool at_start);

}  // namespace ballast::handler
