// SPDX-License-Identifier: Apache-2.0
// All executors of the process, and a lock for those who add and remove them, and their landmarks.
// For lib/co alone. Whoever reads a core file begins there.
#pragma once

#include <mutex>

namespace ballast::co {

class Executor;

extern constinit Executor* live_executors;
extern constinit std::mutex live_executors_mutex;

}  // namespace ballast::co
