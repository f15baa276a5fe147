// SPDX-License-Identifier: Apache-2.0
// The choke point: wraps a backend and asserts its contract on both sides.
//
// Towards the caller: blocks whole, range within the size at the time of the call, fua only where
// it is supported, nothing after close, close once. Towards the backend: a status that the
// operation may have, no success of what it says it cannot do, extents in order and within the
// range, the new size after a resize, no operation left behind by close. A few comparisons per
// operation; always on. Empty operations are answered with ok here and reach no backend.
#pragma once

#include <memory>

#include "lib/backend/backend.h"

namespace ballast::backend {

std::unique_ptr<Backend> make_checked(std::unique_ptr<Backend> inner);

}  // namespace ballast::backend
