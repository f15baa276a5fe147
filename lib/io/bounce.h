// SPDX-License-Identifier: Apache-2.0
// Bounce: memory for one piece of a transfer whose data cannot be used where it lies.
//
// The command that the piece is of may hold a buffer of the pool already, or may be waited for by
// commands that hold them all, as a block of the write log is. So the piece must not wait for the
// pool. If nothing is left there, it takes a spare buffer of the backend's own, which only such
// pieces hold. Driving thread only.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "lib/co/cancel.h"
#include "lib/co/task.h"
#include "lib/io/buffer_pool.h"
#include "lib/io/scratch.h"

namespace ballast::io {

class Bounce {
 public:
  // memory() may be shorter than `length`. Returns 0, -ECANCELED or -ENOMEM.
  co::Task<int> take(BufferPool& pool, ScratchPool& spares, std::size_t length,
                     co::CancelToken cancel);
  std::span<std::byte> memory() const { return memory_; }

 private:
  Buffer pooled_;
  std::optional<ScratchPool::Buffer> spare_;
  std::span<std::byte> memory_;
};

}  // namespace ballast::io
