// SPDX-License-Identifier: Apache-2.0
// Makes a backend fail on command: for tests, and for practising a bad day on a spare LUN.
//
// `fault` wraps any backend and obeys a control file; fault_rules.h has the grammar. A thread of
// its own reads the file every 100 ms. New contents apply once they stayed the same for 10 ms, so a
// plain `echo all freeze > control` works. A missing or empty file means no faults; frozen
// operations go on. If the text has a bad line, its number is logged, and nothing of the text is
// applied: the rules stay as they were.
//
// All else is done by the wrapped backend. A rule can hold an operation, by a delay or a freeze.
// Cancelling does not end a held operation, unless its rule says `cancellable`. close() ends it,
// unless its rule says `stubborn`: with cancelled, or, if the rule says `after`, with the status
// that the wrapped backend gave it.
#pragma once

#include <memory>
#include <string>

#include "lib/backend/backend.h"
#include "lib/base/result.h"

namespace ballast::backend {

// Whether `path` can be a control file: a regular file that can be read, or no file in a folder
// that exists. Blocks.
Result<void> check_fault_control(const std::string& path);

// Reads the control file once before it returns, and starts the thread that watches it. `inner`
// usually is in `checked` already, so that the operations that reach it are checked, too.
std::unique_ptr<Backend> make_fault(std::unique_ptr<Backend> inner, std::string path);

}  // namespace ballast::backend
