// SPDX-License-Identifier: Apache-2.0
// Bounce: memory for one piece of a transfer whose data cannot be used where it lies.
//
// The command that the piece is of may hold a buffer of the pool already, or may be waited for by
// commands that hold them all, as a block of the write log is. So the piece must not wait for the
// pool. If nothing is left there, it takes a spare buffer of the backend's own, which only such
// pieces hold. Driving thread only.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "lib/co/cancel.h"
#include "lib/co/task.h"
#include "lib/io/buffer_pool.h"
#include "lib/io/scratch.h"

namespace ballast::io {

class Bounce {
 public:
  // memory() may be shorter than `length`. Returns 0, -ECANCELED or -ENOMEM.
  co::Task<int> take(BufferPool& pool, ScratchPool& spares, std::size_t length,
                     co::CancelToken cancel) {
    pooled_ = pool.try_acquire(length);
    if (pooled_) {
      memory_ = pooled_.bytes();
      co_return 0;
    }
    co::Semaphore::Guard slot = co_await spares.slot(cancel);
    if (!slot) {
      co_return -ECANCELED;
    }
    spare_.emplace(spares, std::move(slot));
    if (!*spare_) {
      co_return -ENOMEM;
    }
    memory_ = spare_->bytes().first(std::min(length, ScratchPool::buffer_size));
    co_return 0;
  }
  std::span<std::byte> memory() const { return memory_; }

 private:
  Buffer pooled_;
  std::optional<ScratchPool::Buffer> spare_;
  std::span<std::byte> memory_;
};

}  // namespace ballast::io
