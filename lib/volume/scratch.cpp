// SPDX-License-Identifier: Apache-2.0
#include "lib/volume/scratch.h"

#include "lib/base/assert.h"

namespace ballast::volume {

std::size_t ScratchPool::claim() {
  constexpr std::size_t page = 4096;
  for (std::size_t i = 0; i < buffer_count; ++i) {
    if (busy_[i]) {
      continue;
    }
    if (memory_[i] == nullptr) {
      memory_[i].reset(static_cast<std::byte*>(std::aligned_alloc(page, buffer_size)));
      BALLAST_ASSERT(memory_[i] != nullptr);
    }
    busy_[i] = true;
    return i;
  }
  BALLAST_ASSERT(false);  // a slot without a buffer
  return 0;
}

}  // namespace ballast::volume
