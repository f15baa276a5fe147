// SPDX-License-Identifier: Apache-2.0
// The process's watchdog over the threads of all LUNs (lib/watch/watchdog.h).
#pragma once

#include "lib/watch/watchdog.h"

namespace ballast::handler {

// Called once, by handler_init: later the environment may change.
void start_watchdog() noexcept;

// Any thread.
watch::Watchdog& watchdog();

}  // namespace ballast::handler
