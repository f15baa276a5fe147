// SPDX-License-Identifier: Apache-2.0
// A backend that reads zeros and forgets what is written: the floor of a benchmark. Every operation
// ends at once, on the caller's turn.
#pragma once

#include <memory>

#include "lib/backend/backend.h"

namespace ballast::backend {

std::unique_ptr<Backend> make_null(co::Executor& executor, Bytes size, Bytes logical_block);

}  // namespace ballast::backend
