// SPDX-License-Identifier: Apache-2.0
// Finds the allocated parts of a file with SEEK_DATA and SEEK_HOLE (lseek(2)). Blocks, so it must
// not run on the executor. It moves the file's position; no other code may use the position
// meanwhile.
#pragma once

#include <cstddef>
#include <vector>

#include "lib/backend/backend.h"

namespace ballast::backend {

// Appends to `out` at most `limit` extents, which cover [offset, offset + length) from its
// beginning. A block of `block` bytes counts as allocated if any part of it is. Returns 0 or a
// negative errno; after an error `out` is unchanged.
int find_extents(int fd, Bytes offset, Bytes length, Bytes block, std::size_t limit,
                 std::vector<Extent>* out) noexcept;

}  // namespace ballast::backend
