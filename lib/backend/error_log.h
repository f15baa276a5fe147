// SPDX-License-Identifier: Apache-2.0
// Logs the errors of one store in words, at most one line a second: a dead disk fails thousands of
// times a second. Driving thread only.
#pragma once

#include <string_view>

#include "lib/base/line_limit.h"
#include "lib/base/units.h"
#include "lib/co/executor.h"

namespace ballast::backend {

class ErrorLog {
 public:
  // `name` is the name of the store; it must outlive the log.
  ErrorLog(co::Executor& executor, std::string_view name) : executor_{executor}, name_{name} {}

  // Logs the failure, or only counts it if a line was logged less than a second ago. The next line
  // gives the count. `why` is the cause in words.
  void report(const char* operation, Bytes offset, Bytes length, const char* why);

 private:
  co::Executor& executor_;
  const std::string_view name_;
  LineLimit limit_;
};

}  // namespace ballast::backend
