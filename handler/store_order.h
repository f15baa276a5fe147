// SPDX-License-Identifier: Apache-2.0
// Makes the order that the plugin gives to backend::open(): it adds where records are, and how to
// ask for saved LUNs.
#pragma once

#include <string>

#include "lib/backend/store_source.h"

namespace ballast::handler {

// Records are in StoreRecords::default_folder. Tests set another folder with the environment
// variable BALLAST_RECORDS; if it is set and empty, there are no records.
std::string records_folder();
backend::StoreOrder store_order(const backend::StoreConfig& config, const std::string& lun,
                                Bytes size, Bytes logical_block, bool at_start);

}  // namespace ballast::handler
