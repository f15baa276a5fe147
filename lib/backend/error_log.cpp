// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/error_log.h"

#include "lib/base/log.h"

namespace ballast::backend {

void ErrorLog::report(const char* operation, Bytes offset, Bytes length, const char* why) {
  if (const auto left_out = limit_.next_in_words(executor_.now())) {
    log(LogLevel::error, "{}: {} of {} bytes at byte {} failed: {}{}", name_, operation,
        length.value(), offset.value(), why, *left_out);
  }
}

}  // namespace ballast::backend
