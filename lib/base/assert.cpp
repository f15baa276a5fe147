// SPDX-License-Identifier: Apache-2.0
#include "lib/base/assert.h"

#include <cstdio>
#include <cstdlib>

#include "lib/base/log.h"

namespace ballast {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "ballast: assertion failed: %s (%s:%d)\n", expression, file, line);
  std::fflush(stderr);
  log_plain(LogLevel::error, "assertion failed; the process aborts, see standard error");
  std::abort();
}

}  // namespace ballast
