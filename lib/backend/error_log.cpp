// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/error_log.h"

#include <fmt/format.h>

#include <chrono>
#include <string>

#include "lib/base/log.h"

namespace ballast::backend {

void ErrorLog::report(const char* operation, Bytes offset, Bytes length, const char* why) {
  const TimePoint now = executor_.now();
  if (now < quiet_until_) {
    ++held_back_;
    return;
  }
  quiet_until_ = now + std::chrono::seconds{1};
  const std::string before =
      held_back_ > 0 ? fmt::format(" ({} errors before it were not logged)", held_back_) : "";
  held_back_ = 0;
  log(LogLevel::error, "{}: {} of {} bytes at byte {} failed: {}{}", name_, operation,
      length.value(), offset.value(), why, before);
}

}  // namespace ballast::backend
