// SPDX-License-Identifier: Apache-2.0
// ScratchPool: a few buffers in which the volume repeats patterns and reads blocks for comparisons.
//
// Each buffer is made on first use and then kept. It is page-aligned for O_DIRECT. A coroutine that
// finds no free buffer waits, first come, first served. Driving thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <utility>

#include "lib/co/semaphore.h"

namespace ballast::volume {

class ScratchPool {
 public:
  static constexpr std::size_t buffer_size = 256 * 1024;
  static constexpr std::size_t buffer_count = 4;

  explicit ScratchPool(co::Executor& executor) : slots_{executor, buffer_count, "scratch buffer"} {}

  // One buffer. It is taken while this object lives. Empty: out of memory.
  class Buffer {
   public:
    Buffer(ScratchPool& pool, co::Semaphore::Guard slot)
        : pool_{pool}, slot_{std::move(slot)}, index_{pool.claim()} {}
    ~Buffer() { pool_.busy_[index_] = false; }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    explicit operator bool() const { return pool_.memory_[index_] != nullptr; }
    std::span<std::byte> bytes() const { return {pool_.memory_[index_].get(), buffer_size}; }

   private:
    ScratchPool& pool_;
    co::Semaphore::Guard slot_;
    std::size_t index_;
  };

  // Take the slot first, because an initializer must not await:
  //   co::Semaphore::Guard slot = co_await pool.slot(token);
  //   if (!slot) ...                                        // cancelled
  //   const ScratchPool::Buffer buffer{pool, std::move(slot)};
  //   if (!buffer) ...                                      // out of memory
  co::Semaphore::Waiter slot(co::CancelToken cancel) {
    return slots_.acquire_until(1, co::Timers::never, cancel);
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::size_t claim();

  co::Semaphore slots_;
  std::array<std::unique_ptr<std::byte[], Free>, buffer_count> memory_;
  std::array<bool, buffer_count> busy_{};
};

}  // namespace ballast::volume
