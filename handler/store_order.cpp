// SPDX-License-Identifier: Apache-2.0
#include "handler/store_order.h"

#include <cstdlib>

#include "handler/saved_configuration.h"
#include "lib/backend/store_record.h"

namespace ballast::handler {

std::string records_folder() {
  const char* const instead = std::getenv("BALLAST_RECORDS");
  return instead != nullptr ? instead : backend::StoreRecords::default_folder;
}

backend::StoreOrder store_order(const backend::StoreConfig& config, const std::string& lun,
                                Bytes size, Bytes logical_block, bool at_start) {
  return backend::StoreOrder{.config = config,
                             .lun = lun,
                             .size = size,
                             .logical_block = logical_block,
                             .at_start = at_start,
                             .is_saved = saved_configuration_has,
                             .records = records_folder()};
}

}  // namespace ballast::handler
