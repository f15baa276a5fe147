// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/store_source.h"

#include "lib/base/log.h"
#include "lib/base/values.h"

namespace ballast::backend {

void log_becoming_ready(const StoreOrder& order, const Error& why) {
  log(LogLevel::warning,
      "{}: becoming ready: {}; commands are answered BUSY until it is open, and Ballast tries "
      "again every {}",
      order.lun, why.message, config::format_duration(order.interval));
}

}  // namespace ballast::backend
