// SPDX-License-Identifier: Apache-2.0
// What the programs that make random runs share: the seed is known when an assertion ends the
// process, the log is silent unless a trace is asked for, time is limited.
#pragma once

#include <chrono>
#include <cstdint>

#include "tests/sim/run.h"

namespace ballast::sim {

// Once, first: silences the log, and has BALLAST_SEED of the run printed if the process aborts.
void prepare_program();

// SIM_TRACE in the environment: runs are traced.
bool trace_wanted();
// SIM_SECONDS in the environment, or `usual`.
std::chrono::seconds time_wanted(std::chrono::seconds usual);

// run(), with what it complains about printed behind BALLAST_SEED=….
RunResult run_and_tell(const RunOptions& options);
// The same, silent unless a trace is asked for.
RunResult run_quietly(const RunOptions& options);

}  // namespace ballast::sim
