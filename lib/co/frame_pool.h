// SPDX-License-Identifier: Apache-2.0
// Memory for coroutine frames: size classes over free lists, so that a steady state allocates
// nothing.
//
// Each executor has one pool; driving thread only. Frames that take up to 4 KiB with their header
// come from slabs; these grow to the high-water mark and stay. Larger frames come from the heap and
// are counted, because such a frame holds data that belongs elsewhere. Under AddressSanitizer freed
// frames are poisoned.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/co/arena.h"

namespace ballast::co {

struct FramePoolStats {
  std::size_t live = 0;                // frames in use now
  std::size_t live_peak = 0;           // the high-water mark
  std::size_t slab_bytes = 0;          // memory held
  std::uint64_t slab_allocations = 0;  // times a slab had to be added
  std::uint64_t oversize = 0;          // frames that came from the heap
};

class FramePool {
 public:
  // `arena` outlives the pool.
  explicit FramePool(Arena& arena) : arena_{arena} {}
  ~FramePool();  // asserts that every frame came back
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;

  void* allocate(std::size_t size);
  // A header before the frame names its pool, so release() needs no other argument.
  static void release(void* frame) noexcept;

  const FramePoolStats& stats() const { return stats_; }

 private:
  static constexpr std::size_t granule = 64;
  static constexpr std::size_t largest = 4096;
  static constexpr std::size_t slab_size = std::size_t{64} << 10;
  struct Header {  // 16 bytes, so that the frame after it is aligned as operator new aligns
    FramePool* pool;
    std::size_t size_class;  // 0: from the heap
  };
  struct Free {
    Free* next;
  };
  void grow(std::size_t size_class);

  Arena& arena_;
  std::array<Free*, largest / granule + 1> free_{};
  FramePoolStats stats_;
};

}  // namespace ballast::co
