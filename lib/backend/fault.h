// SPDX-License-Identifier: Apache-2.0
// Makes a backend fail, on command: for tests, and for rehearsing a bad day on a spare LUN.
//
// Wraps any backend and obeys a control file, whose grammar is fault_rules.h. A thread of its own
// reads the file every 100 ms; new contents count once they stood still for 10 ms, so a plain `echo
// all freeze > control` works. A file that is missing or empty means no faults, and lets go what is
// frozen. A text with a bad line is logged with the line's number, and nothing of it is applied:
// the rules stay as they were.
//
// Everything else is the wrapped backend's. Held operations cannot be cancelled, except by close(),
// which ends them with cancelled (or, held after they were done, with what they had become).
#pragma once

#include <memory>
#include <string>

#include "lib/backend/backend.h"
#include "lib/base/result.h"

namespace ballast::backend {

// Whether `path` can be a control file: absent, or readable; its folder exists.
Result<void> check_fault_control(const std::string& path);

// Reads the control file once before it returns. Call off the executor. `inner` is usually in
// `checked` already, so that what faults do to it is watched too.
std::unique_ptr<Backend> make_fault(std::unique_ptr<Backend> inner, std::string path);

}  // namespace ballast::backend
