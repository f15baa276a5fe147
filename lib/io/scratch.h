// SPDX-License-Identifier: Apache-2.0
// ScratchPool: a few buffers for what is no command's data: the volume repeats patterns and reads
// blocks for comparisons in them, and the write log verifies in them what it reads.
//
// Each buffer is made on first use and then kept. It is page-aligned for O_DIRECT. A coroutine that
// finds no free buffer waits, first come, first served. Driving thread only.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <utility>

#include "lib/co/semaphore.h"
#include "lib/io/page_memory.h"

namespace ballast::io {

class ScratchPool {
 public:
  static constexpr std::size_t buffer_size = 256 * 1024;
  static constexpr std::size_t buffer_count = 4;

  // `what` names what is waited for, and must outlive the pool (a literal).
  explicit ScratchPool(co::Executor& executor, const char* what = "scratch buffer")
      : slots_{executor, buffer_count, what} {}

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
    std::size_t index() const { return index_; }  // below buffer_count

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
  co::Semaphore::Waiter slot(co::CancelToken cancel = {}) {
    return slots_.acquire_until(1, co::Timers::never, cancel);
  }

 private:
  std::size_t claim();

  co::Semaphore slots_;
  std::array<PageMemory, buffer_count> memory_;
  std::array<bool, buffer_count> busy_{};
};

}  // namespace ballast::io
