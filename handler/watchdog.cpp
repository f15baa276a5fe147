// SPDX-License-Identifier: Apache-2.0
#include "handler/watchdog.h"

#include <chrono>
#include <new>
#include <optional>

#include "lib/base/log.h"
#include "lib/base/never_destroyed.h"
#include "lib/base/values.h"
#include "lib/co/clock.h"

namespace ballast::handler {
namespace {

// Of a shorter limit, a busy machine may use up most.
constexpr Nanoseconds least_service_limit = std::chrono::seconds{10};

struct SteadyWatchdog {
  co::SteadyClock clock;
  watch::Watchdog watchdog{clock};
};

void start() {
  const std::optional<watch::ServiceWatchdog> service = watch::ServiceWatchdog::from_environment();
  if (service.has_value() && service->limit() < least_service_limit) {
    log(LogLevel::warning,
        "WatchdogSec={} of tcmu-runner.service is too short: a busy daemon would be taken for a "
        "stuck one; set {} at least",
        config::format_duration(service->limit()), config::format_duration(least_service_limit));
  }
  if (!watchdog().start(service)) {
    log_plain(LogLevel::warning,
              "cannot start the thread that notices stuck LUNs; raise TasksMax of "
              "tcmu-runner.service and restart it");
  }
}

}  // namespace

watch::Watchdog& watchdog() {
  return never_destroyed<SteadyWatchdog>().watchdog;
}

void start_watchdog() noexcept {
  try {
    start();
  } catch (const std::bad_alloc&) {
    log_plain(LogLevel::warning, "out of memory: stuck LUNs are not noticed");
  }
}

}  // namespace ballast::handler
