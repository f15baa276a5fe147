// SPDX-License-Identifier: Apache-2.0
// Makes a run that fails smaller: fewer commands, fewer initiators, fewer faults.
#pragma once

#include <string>

#include "tests/sim/run.h"

namespace ballast::sim {

// Returns bounds within which the run still complains of the same, and of which none can be taken
// away alone. It makes some hundred runs, so it takes seconds. `result`: what run() said without
// bounds.
RunBounds shrink(const RunOptions& options, const RunResult& result);

// "12:2:3,17": 12 commands, 2 initiators, the faults 3 and 17. A text that is none gives no bounds.
std::string to_string(const RunBounds& bounds);
RunBounds bounds_from(const std::string& text);

}  // namespace ballast::sim
