// SPDX-License-Identifier: Apache-2.0
// Where the coroutines of a task wait for each other. Driving thread only.
#pragma once

#include <vector>

#include "lib/co/registry.h"

namespace ballast::co {

// Where the innermost coroutine of a task that waits is awaited, where that one is, and so on.
// Empty if the task has one coroutine, or does not wait.
std::vector<Site> awaited_at(const TaskInfo& task);

}  // namespace ballast::co
