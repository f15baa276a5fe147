// SPDX-License-Identifier: Apache-2.0
// A backend in memory: sparse, and gone when it is closed. For tests, and for a scratch LUN.
//
// A page of 4 KiB is allocated at the first write to it, or by zero() without may_unmap. zero()
// with may_unmap and discard() free the pages that they cover whole. A range without a page reads
// as zeros. The pages take at most the size of the LUN in memory. If the process gets no more
// memory, a write answers no_space. Every operation ends without suspending its caller.
#pragma once

#include <memory>

#include "lib/backend/backend.h"

namespace ballast::backend {

// `executor` must outlive the backend. Sizes in bytes, as in OpenContext (factory.h).
std::unique_ptr<Backend> make_memory(co::Executor& executor, Bytes size, Bytes logical_block);

}  // namespace ballast::backend
