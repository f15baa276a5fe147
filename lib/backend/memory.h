// SPDX-License-Identifier: Apache-2.0
// A backend in memory: sparse, gone when it is closed. For tests, and for a scratch LUN.
//
// Pages of 4 KiB are allocated on their first write and freed by zero() with may_unmap and by
// discard() when they are covered whole; what has no page reads as zeros. It uses at most the
// LUN's size in memory; where the process gets no more, a write answers no_space.
#pragma once

#include <memory>

#include "lib/backend/backend.h"

namespace ballast::backend {

std::unique_ptr<Backend> make_memory(co::Executor& executor, Bytes size, Bytes logical_block);

}  // namespace ballast::backend
