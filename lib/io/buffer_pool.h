// SPDX-License-Identifier: Apache-2.0
// BufferPool: page-aligned memory of one LUN, for data that cannot be used where it lies.
//
// It serves bounce copies (unaligned segments under O_DIRECT), patterns of WRITE SAME, and kept
// copies. The pool is one mapping of fixed size. A buddy allocator divides it by halves into
// buffers of 4 KiB to 8 MiB, powers of two. The pool sets some returned buffers of each size aside,
// and joins them again only when another size is asked for and not there. So a steady load only
// takes from the top of a stack.
//
// acquire() waits when nothing fits. Waiters are served in the order in which they came, and none
// overtakes: a big request at the head holds back all behind it until enough memory came back, so
// it cannot starve. An operation must not wait for a buffer while it, or the command that it is of,
// holds one: it takes try_acquire(). Then some operation can always go on, and the pool cannot
// deadlock. A fresh buffer contains what its last user left in it. Driving thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/cancel.h"
#include "lib/co/executor.h"
#include "lib/co/intrusive_list.h"
#include "lib/co/task.h"
#include "lib/io/sg.h"
#include "lib/io/uring.h"

namespace ballast::io {

class BufferPool;

// One buffer, which gives itself back. The pool outlives it.
class [[nodiscard]] Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : pool_{std::exchange(other.pool_, nullptr)}, memory_{std::exchange(other.memory_, {})} {}
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) {
      reset();
      pool_ = std::exchange(other.pool_, nullptr);
      memory_ = std::exchange(other.memory_, {});
    }
    return *this;
  }
  ~Buffer() { reset(); }

  explicit operator bool() const { return pool_ != nullptr; }
  // As many bytes as were asked for; they begin at a page boundary.
  std::span<std::byte> bytes() const { return memory_; }
  iovec segment() const { return iovec{memory_.data(), memory_.size()}; }
  void reset() {
    if (pool_ != nullptr) {
      give_back();
    }
  }

 private:
  friend class BufferPool;
  friend struct Anatomy;
  Buffer(BufferPool& pool, std::span<std::byte> memory) : pool_{&pool}, memory_{memory} {}
  void give_back();
  BufferPool* pool_ = nullptr;
  std::span<std::byte> memory_{};
};

struct BufferPoolStats {
  std::size_t in_use_bytes = 0;  // rounded to size classes
  std::size_t peak_bytes = 0;
  std::uint64_t acquires = 0;
  std::uint64_t waits = 0;  // acquires that had to wait
};

class BufferPool {
 public:
  static constexpr std::size_t smallest = std::size_t{4} << 10;
  static constexpr std::size_t largest = std::size_t{8} << 20;

  // `limit` is rounded up to a multiple of `largest`. Error: no memory to map.
  static Result<std::unique_ptr<BufferPool>> open(co::Executor& executor, Bytes limit);
  // Asserts that every buffer came back and that there are no waiters.
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  co::Executor& executor() { return executor_; }

  // Returns a buffer of `size` bytes, 1 to `largest`. It is empty if `cancel` was requested before
  // there was one.
  co::Task<Buffer> acquire(std::size_t size, co::CancelToken cancel = {});
  // The same without waiting: empty if acquire() would have to wait.
  Buffer try_acquire(std::size_t size);

  std::size_t capacity() const { return capacity_; }
  const BufferPoolStats& stats() const { return stats_; }

 private:
  friend class Buffer;
  static constexpr std::size_t most_aside = 64;  // buffers of one size
  static constexpr std::size_t orders = 12;      // 4 KiB << 0 ... 4 KiB << 11
  // Lives in the frame of the coroutine that waits.
  struct Waiter : co::ListNode<Waiter> {
    Waiter(std::size_t wanted, co::Waker to_wake) : order{wanted}, waker{to_wake} {}
    std::size_t order;
    co::Waker waker;
    std::byte* memory = nullptr;  // set before the waiter is woken, which owns it from then on
  };
  struct Page {  // filled in for the first page of each block
    std::uint32_t next;
    std::uint32_t prev;
    std::uint8_t order;
    bool free;  // in a free list, not set aside
  };
  struct Aside {  // of one size: a stack, linked by Page::next
    std::uint32_t top;
    std::size_t count = 0;
  };

  BufferPool(co::Executor& executor, std::byte* memory, std::size_t capacity);
  static std::size_t order_for(std::size_t size);
  std::byte* take(std::size_t order);
  std::uint32_t take_page(std::size_t order);
  std::uint32_t split_off(std::size_t order);
  void give_back(std::byte* memory);
  void join(std::uint32_t page, std::size_t order);
  bool join_all_aside();
  void push(std::uint32_t page, std::size_t order);
  void remove(std::uint32_t page);
  void serve_waiters();

  co::Executor& executor_;
  std::byte* memory_;
  std::size_t capacity_;
  std::vector<Page> pages_;
  std::uint32_t free_[orders];
  Aside aside_[orders];
  co::IntrusiveList<Waiter> waiters_;
  BufferPoolStats stats_;
};

}  // namespace ballast::io
