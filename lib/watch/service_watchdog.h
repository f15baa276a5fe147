// SPDX-License-Identifier: Apache-2.0
// The service manager's watchdog: WatchdogSec= of the unit, sd_watchdog_enabled(3), sd_notify(3).
//
// The manager ends a daemon, by SIGABRT, from which it has not heard for that long. A message is
// one datagram, so this needs no library. It never waits, which sd_notify(3) does when the manager
// does not read.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "lib/base/units.h"

namespace ballast::watch {

class ServiceWatchdog {
 public:
  // From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. Nothing if the unit sets no WatchdogSec, or
  // if another process of it is meant. Call it while no other thread changes the environment.
  static std::optional<ServiceWatchdog> from_environment();

  Nanoseconds limit() const { return limit_; }
  const std::string& socket() const { return socket_; }
  // Says that the daemon is well. Returns 0, or an errno.
  int feed() const noexcept;

 private:
  ServiceWatchdog(std::string socket, Nanoseconds limit)
      : socket_{std::move(socket)}, limit_{limit} {}
  std::string socket_;  // a path, or '@' and an abstract name
  Nanoseconds limit_;
};

}  // namespace ballast::watch
