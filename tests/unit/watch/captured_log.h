// SPDX-License-Identifier: Apache-2.0
// Keeps what is logged, in place of standard error.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/log.h"

namespace ballast::test {

// One at a time.
class CapturedLog {
 public:
  CapturedLog() {
    (void)take();
    set_log_sink([](LogLevel, std::string_view line) {
      const std::lock_guard lock{mutex()};
      text().append(line).append("\n");
    });
  }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;

  std::string take() {
    const std::lock_guard lock{mutex()};
    return std::exchange(text(), {});
  }

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  static std::string& text() {
    static std::string one;
    return one;
  }
};

}  // namespace ballast::test
