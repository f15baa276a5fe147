// SPDX-License-Identifier: Apache-2.0
// Turns a server's block status (base:allocation) into extents. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/backend/backend.h"

namespace ballast::backend {

// `pairs`: lengths and flags, as the server sent them for a request at `offset`. Appends to `out`
// what they say of [offset, end), in whole blocks of `block` bytes: a block is a hole only if all
// of it is one that reads as zeros. Neighbours of one kind become one extent. Returns where the
// answer ends; `offset` if it says nothing of a whole block.
Bytes append_extents(std::span<const std::uint32_t> pairs, Bytes offset, Bytes end, Bytes block,
                     std::vector<Extent>* out);

}  // namespace ballast::backend
