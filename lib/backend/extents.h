// SPDX-License-Identifier: Apache-2.0
// Which parts of a file are allocated, by SEEK_DATA and SEEK_HOLE (lseek(2)). Blocks: not for the
// executor. The file's position is ours: nobody else may use it meanwhile.
#pragma once

#include <cstddef>
#include <vector>

#include "lib/backend/backend.h"

namespace ballast::backend {

// Appends to `out` what covers [offset, offset + length), at most `limit` extents; a block counts
// as allocated if any part of it is. 0 or a negative errno; then `out` is as it was.
int find_extents(int fd, Bytes offset, Bytes length, Bytes block, std::size_t limit,
                 std::vector<Extent>* out) noexcept;

}  // namespace ballast::backend
