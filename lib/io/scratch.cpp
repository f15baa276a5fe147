// SPDX-License-Identifier: Apache-2.0
#include "lib/io/scratch.h"

#include <algorithm>

#include "lib/base/assert.h"

namespace ballast::io {

std::size_t ScratchPool::claim() {
  // There are as many buffers as slots, so the holder of a slot always finds one.
  const auto found = std::find(busy_.begin(), busy_.end(), false);
  BALLAST_ASSERT(found != busy_.end());
  const auto index = static_cast<std::size_t>(found - busy_.begin());
  if (memory_[index] == nullptr) {
    memory_[index] = make_page_memory(buffer_size);
  }
  busy_[index] = true;
  return index;
}

}  // namespace ballast::io
