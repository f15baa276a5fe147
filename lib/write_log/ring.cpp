// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/ring.h"

namespace ballast::write_log {

std::optional<std::uint64_t> Ring::place(std::uint64_t length) const {
  BALLAST_ASSERT(length <= longest_block);
  if (!begins_segment(next_.offset) && next_.offset + length <= end_of_segment(next_.offset)) {
    return next_.offset;
  }
  const std::uint64_t offset =
      begins_segment(next_.offset) ? next_.offset : next_segment(sizes_, next_.offset);
  const bool needed =
      tail_.sequence != next_.sequence && segment_of(tail_.offset) == segment_of(offset);
  if (needed || readers_[segment_of(offset)] > 0) {
    return std::nullopt;
  }
  return offset;
}

void Ring::took(std::uint64_t offset, std::uint64_t length, std::uint32_t link) {
  next_ = {.sequence = next_.sequence + 1, .offset = behind(sizes_, offset, length), .link = link};
}

}  // namespace ballast::write_log
