// SPDX-License-Identifier: Apache-2.0
// Absent: a store that is not open yet. It says what a store is expected to be, a file that can
// give space back, so that a LUN can say who it is meanwhile; every operation ends with not_ready.
#pragma once

#include <memory>

#include "lib/backend/backend.h"

namespace ballast::backend {

// `executor` outlives it.
std::unique_ptr<Backend> make_absent(co::Executor& executor, Bytes size, Bytes logical_block);

}  // namespace ballast::backend
