// SPDX-License-Identifier: Apache-2.0
// Errors of one store, in words, at most one line a second: a dead disk fails thousands of times a
// second and must not fill another. Driving thread only.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/units.h"
#include "lib/co/executor.h"

namespace ballast::backend {

class ErrorLog {
 public:
  // `name` is the store's, and outlives the log.
  ErrorLog(co::Executor& executor, std::string_view name) : executor_{executor}, name_{name} {}

  void report(const char* operation, Bytes offset, Bytes length, const char* why);

 private:
  co::Executor& executor_;
  const std::string_view name_;
  TimePoint quiet_until_{};
  std::uint64_t held_back_ = 0;
};

}  // namespace ballast::backend
