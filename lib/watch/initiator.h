// SPDX-License-Identifier: Apache-2.0
// What Ballast takes for granted of an initiator that nobody has tuned; ballastctl's timeline.h has
// the mechanism.
#pragma once

#include <chrono>

#include "lib/base/units.h"

namespace ballast::watch {

// When its error handler begins with a command that is not answered: after two SCSI timeouts of
// 30 s, between which a NOP sees that the connection lives (libiscsi).
inline constexpr Nanoseconds error_handler_begins = std::chrono::seconds{60};

}  // namespace ballast::watch
