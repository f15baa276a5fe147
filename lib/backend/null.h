// SPDX-License-Identifier: Apache-2.0
// A backend that reads zeros and forgets all writes: the lower limit of a benchmark. Every
// operation ends without suspending its caller.
#pragma once

#include <memory>

#include "lib/backend/backend.h"

namespace ballast::backend {

// `executor` must outlive the backend. Sizes in bytes, as in OpenContext (factory.h).
std::unique_ptr<Backend> make_null(co::Executor& executor, Bytes size, Bytes logical_block);

}  // namespace ballast::backend
