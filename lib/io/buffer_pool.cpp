// SPDX-License-Identifier: Apache-2.0
#include "lib/io/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "lib/base/assert.h"
#include "lib/base/log.h"
#include "lib/base/round_up.h"

namespace ballast::io {
namespace {

constexpr std::uint32_t none = ~std::uint32_t{0};

}  // namespace

void Buffer::give_back() {
  std::exchange(pool_, nullptr)->give_back(std::exchange(memory_, {}).data());
}

Result<std::unique_ptr<BufferPool>> BufferPool::open(co::Executor& executor, Bytes limit) {
  BALLAST_ASSERT(limit.value() > 0);
  const std::size_t capacity = round_up(limit.value(), largest);
  void* const memory = ::mmap(nullptr, capacity, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return Error{
        errno,
        fmt::format(
            "cannot map {} bytes for the buffers of {}: {}; raise the memory limits of the service",
            capacity, executor.name(), std::strerror(errno))};
  }
  // It holds customers' data, which a core file need not have.
  (void)::madvise(memory, capacity, MADV_DONTDUMP);
  return std::unique_ptr<BufferPool>{
      new BufferPool{executor, static_cast<std::byte*>(memory), capacity}};
}

BufferPool::BufferPool(co::Executor& executor, std::byte* memory, std::size_t capacity)
    : executor_{executor}, memory_{memory}, capacity_{capacity} {
  pages_.resize(capacity / smallest);
  std::fill(std::begin(free_), std::end(free_), none);
  std::fill(std::begin(aside_), std::end(aside_), Aside{.top = none});
  for (std::size_t at = capacity; at > 0; at -= largest) {
    push(static_cast<std::uint32_t>((at - largest) / smallest), orders - 1);
  }
}

BufferPool::~BufferPool() {
  BALLAST_ASSERT(stats_.in_use_bytes == 0);
  BALLAST_ASSERT(waiters_.empty());
  ::munmap(memory_, capacity_);
}

// --- the buddy allocator

std::size_t BufferPool::order_for(std::size_t size) {
  BALLAST_ASSERT(size > 0 && size <= largest);
  const std::size_t pages = (size + smallest - 1) / smallest;
  return static_cast<std::size_t>(std::bit_width(pages - 1));
}

void BufferPool::push(std::uint32_t page, std::size_t order) {
  const std::uint32_t head = free_[order];
  pages_[page] = Page{head, none, static_cast<std::uint8_t>(order), true};
  if (head != none) {
    pages_[head].prev = page;
  }
  free_[order] = page;
}

void BufferPool::remove(std::uint32_t page) {
  Page& entry = pages_[page];
  BALLAST_ASSERT(entry.free);
  (entry.prev != none ? pages_[entry.prev].next : free_[entry.order]) = entry.next;
  if (entry.next != none) {
    pages_[entry.next].prev = entry.prev;
  }
  entry.free = false;
}

// Splits a block of `order` off the smallest free block that is large enough. Returns `none` if no
// block is.
std::uint32_t BufferPool::split_off(std::size_t order) {
  std::size_t found = order;
  while (found < orders && free_[found] == none) {
    ++found;
  }
  if (found == orders) {
    return none;
  }
  const std::uint32_t page = free_[found];
  remove(page);
  while (found > order) {
    --found;
    push(page + (std::uint32_t{1} << found), found);
  }
  pages_[page].order = static_cast<std::uint8_t>(order);
  return page;
}

std::uint32_t BufferPool::take_page(std::size_t order) {
  Aside& aside = aside_[order];
  if (aside.count > 0) {
    --aside.count;
    return std::exchange(aside.top, pages_[aside.top].next);
  }
  const std::uint32_t page = split_off(order);
  return page == none && join_all_aside() ? split_off(order) : page;
}

// Null if no block is free.
std::byte* BufferPool::take(std::size_t order) {
  const std::uint32_t page = take_page(order);
  if (page == none) {
    return nullptr;
  }
  stats_.in_use_bytes += smallest << order;
  stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.in_use_bytes);
  ++stats_.acquires;
  return memory_ + std::size_t{page} * smallest;
}

void BufferPool::give_back(std::byte* memory) {
  const auto page =
      static_cast<std::uint32_t>(static_cast<std::size_t>(memory - memory_) / smallest);
  Page& entry = pages_[page];
  BALLAST_ASSERT(!entry.free && stats_.in_use_bytes >= smallest << entry.order);
  stats_.in_use_bytes -= smallest << entry.order;
  Aside& aside = aside_[entry.order];
  if (aside.count < most_aside) {
    ++aside.count;
    entry.next = std::exchange(aside.top, page);
  } else {
    join(page, entry.order);
  }
  if (!waiters_.empty()) {
    serve_waiters();
  }
}

// Frees a block, joined with its buddies as far as they are free.
void BufferPool::join(std::uint32_t page, std::size_t order) {
  for (; order < orders - 1; ++order) {
    const std::uint32_t buddy = page ^ (std::uint32_t{1} << order);
    if (!pages_[buddy].free || pages_[buddy].order != order) {
      break;
    }
    remove(buddy);
    page = std::min(page, buddy);
  }
  push(page, order);
}

// Joins all blocks that are set aside. Returns whether there were any.
bool BufferPool::join_all_aside() {
  bool any = false;
  for (std::size_t order = 0; order < orders; ++order) {
    for (Aside& aside = aside_[order]; aside.count > 0; --aside.count) {
      any = true;
      join(std::exchange(aside.top, pages_[aside.top].next), order);
    }
  }
  return any;
}

// --- taking and waiting

void BufferPool::serve_waiters() {
  while (Waiter* const waiter = waiters_.front()) {
    // A cancelled waiter gets nothing, and must not hold up the others until its coroutine runs.
    if (waiter->waker.pending()) {
      waiter->memory = take(waiter->order);
      if (waiter->memory == nullptr) {
        return;
      }
      (void)waiter->waker.wake();
    }
    waiters_.remove(*waiter);
  }
}

Buffer BufferPool::try_acquire(std::size_t size) {
  const std::size_t order = order_for(size);
  std::byte* const memory = waiters_.empty() ? take(order) : nullptr;
  return memory != nullptr ? Buffer{*this, std::span{memory, size}} : Buffer{};
}

co::Task<Buffer> BufferPool::acquire(std::size_t size, co::CancelToken cancel) {
  Buffer at_once = try_acquire(size);
  if (at_once) {
    co_return std::move(at_once);
  }
  ++stats_.waits;
  co::Wait wait{executor_, "buffer"};
  Waiter waiter{order_for(size), wait.waker()};
  waiters_.push_back(waiter);
  co::CancelLink link;
  link.arm(cancel, wait.waker());
  co_await wait;
  link.disarm();
  if (waiter.memory == nullptr) {
    if (waiter.linked()) {
      waiters_.remove(waiter);
    }
    serve_waiters();
    co_return Buffer{};
  }
  Buffer buffer{*this, std::span{waiter.memory, size}};
  co_return std::move(buffer);
}

}  // namespace ballast::io
