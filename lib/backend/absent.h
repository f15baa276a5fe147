// SPDX-License-Identifier: Apache-2.0
// Absent: stands in for a store that is not open yet. It claims the abilities of a usual store, a
// file that can give space back, so that the LUN can already describe itself to an initiator. Every
// operation ends with not_ready.
#pragma once

#include <memory>

#include "lib/backend/backend.h"

namespace ballast::backend {

// `executor` must outlive the backend. Sizes in bytes, as in OpenContext (factory.h).
std::unique_ptr<Backend> make_absent(co::Executor& executor, Bytes size, Bytes logical_block);

}  // namespace ballast::backend
