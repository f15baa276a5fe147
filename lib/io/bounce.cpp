// SPDX-License-Identifier: Apache-2.0
#include "lib/io/bounce.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace ballast::io {

co::Task<int> Bounce::take(BufferPool& pool, ScratchPool& spares, std::size_t length,
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

}  // namespace ballast::io
