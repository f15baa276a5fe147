// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd_extents.h"

#include <algorithm>

namespace ballast::backend {
namespace {

// NBD protocol, "base:allocation": NBD_STATE_HOLE and NBD_STATE_ZERO.
constexpr std::uint32_t hole_of_zeros = 3;

void append(std::vector<Extent>* out, std::size_t first, Bytes begin, Bytes end, bool allocated) {
  if (begin >= end) {
    return;
  }
  if (out->size() > first && out->back().allocated == allocated) {
    out->back().length += end - begin;
    return;
  }
  out->push_back(Extent{.offset = begin, .length = end - begin, .allocated = allocated});
}

}  // namespace

Bytes append_extents(std::span<const std::uint32_t> pairs, Bytes offset, Bytes end, Bytes block,
                     std::vector<Extent>* out) {
  const auto down = [&](Bytes at) { return Bytes{at.value() / block.value() * block.value()}; };
  const std::size_t first = out->size();
  Bytes at = offset;    // how far the pairs reach
  Bytes said = offset;  // how far the extents reach: whole blocks
  for (std::size_t i = 0; i + 1 < pairs.size() && at < end; i += 2) {
    const bool allocated = (pairs[i + 1] & hole_of_zeros) != hole_of_zeros;
    at = std::min(at + Bytes{pairs[i]}, end);
    if (allocated) {
      // The block in which this begins or ends counts as allocated.
      const Bytes up = std::min(down(at + block - Bytes{1}), end);
      append(out, first, said, std::max(up, said), true);
      said = std::max(up, said);
    } else if (down(at) > said) {
      append(out, first, said, down(at), false);
      said = down(at);
    }
  }
  return said;
}

}  // namespace ballast::backend
