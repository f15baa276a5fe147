// SPDX-License-Identifier: Apache-2.0
// The behaviour that Ballast assumes of an initiator with default settings. ballastctl's timeline.h
// describes the mechanism.
#pragma once

#include <chrono>

#include "lib/base/units.h"

namespace ballast::watch {

// The error handler begins when a command has not been answered for this time: two SCSI timeouts of
// 30 s. After the first, a NOP shows that the connection lives, and the command gets the second
// (libiscsi).
inline constexpr Nanoseconds error_handler_begins = std::chrono::seconds{60};

// How long after the deadline an initiator should wait for an answer: the command waits to be sent,
// too, and the answer has to arrive.
inline constexpr Nanoseconds answer_margin = std::chrono::seconds{10};

}  // namespace ballast::watch
