// SPDX-License-Identifier: Apache-2.0
#include "lib/co/frame_pool.h"

#include <new>

#include "lib/base/assert.h"
#include "lib/co/poison.h"

namespace ballast::co {

FramePool::~FramePool() {
  BALLAST_ASSERT(stats_.live == 0);
}

void* FramePool::allocate(std::size_t size) {
  const std::size_t total = size + sizeof(Header);
  const std::size_t size_class = total <= largest ? (total + granule - 1) / granule : 0;
  void* memory = nullptr;
  if (size_class == 0) {
    memory = ::operator new(total);
    ++stats_.oversize;
  } else {
    if (free_[size_class] == nullptr) {
      grow(size_class);
    }
    Free* const block = free_[size_class];
    ASAN_UNPOISON_MEMORY_REGION(block, size_class * granule);
    free_[size_class] = block->next;
    memory = block;
  }
  if (++stats_.live > stats_.live_peak) {
    stats_.live_peak = stats_.live;
  }
  Header* const header = ::new (memory) Header{this, size_class};
  return header + 1;
}

void FramePool::release(void* frame) noexcept {
  Header* const header = static_cast<Header*>(frame) - 1;
  FramePool* const pool = header->pool;
  const std::size_t size_class = header->size_class;
  BALLAST_ASSERT(pool->stats_.live > 0);
  --pool->stats_.live;
  if (size_class == 0) {
    ::operator delete(header);
    return;
  }
  Free* const block = ::new (static_cast<void*>(header)) Free{pool->free_[size_class]};
  pool->free_[size_class] = block;
  ASAN_POISON_MEMORY_REGION(block, size_class * granule);
}

void FramePool::grow(std::size_t size_class) {
  const std::size_t block_size = size_class * granule;
  const std::span<std::byte> slab = arena_.take(slab_size, block_size);
  stats_.slab_bytes += slab.size();
  ++stats_.slab_allocations;
  for (std::size_t at = slab.size() / block_size; at-- > 0;) {
    free_[size_class] =
        ::new (static_cast<void*>(slab.data() + at * block_size)) Free{free_[size_class]};
  }
  // allocate() unpoisons a block before it reads the block's link.
  for (std::size_t at = 0; at < slab.size() / block_size; ++at) {
    ASAN_POISON_MEMORY_REGION(slab.data() + at * block_size, block_size);
  }
}

}  // namespace ballast::co
