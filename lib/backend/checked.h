// SPDX-License-Identifier: Apache-2.0
// The choke point: wraps a backend and asserts its contract (backend.h) on both sides.
//
// The caller must pass whole blocks and a range within the present size, must ask for fua only
// where it is supported, must not resize during a resize, must not call anything after close(), and
// must close once. The backend must return a status that is legal for the operation, must not
// report success for a change of a read-only store, must report extents in order and within the
// range, must have the new size after a resize, and must end all operations before close() ends.
// This costs a few comparisons for each operation and is always on. An operation on an empty range
// ends with ok here and does not reach the backend. It counts the operations
// that end with an error (op_errors.h).
#pragma once

#include <memory>

#include "lib/backend/backend.h"

namespace ballast::backend {

// Throws std::bad_alloc. Then the caller still has `inner`.
std::unique_ptr<Backend> make_checked(std::unique_ptr<Backend>&& inner);

}  // namespace ballast::backend
