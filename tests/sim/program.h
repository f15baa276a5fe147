// SPDX-License-Identifier: Apache-2.0
// Shared by the programs that make random runs. The seed is printed if an assertion ends the
// process, the log is silent unless a trace is asked for, and the time is limited.
#pragma once

#include <cstdint>

#include "tests/sim/run.h"

namespace ballast::sim {

// Call this once, first. It silences the log. If the process aborts, BALLAST_SEED of the run is
// printed.
void prepare_program();

// Whether SIM_TRACE is in the environment, so that runs are traced.
bool trace_wanted();

// Calls run() and prints its complaints after BALLAST_SEED=…. Of a run that fails it prints the
// trace of a smaller one (shrink.h), too. SIM_BOUNDS in the environment makes that one again.
RunResult run_and_tell(const RunOptions& options);
// The same, but prints nothing unless a trace is asked for.
RunResult run_quietly(const RunOptions& options);

}  // namespace ballast::sim
