// SPDX-License-Identifier: Apache-2.0
// Counts every operator new of the process, and its bytes. For one source file of a test program:
// it replaces the global operators. ThreadSanitizer's runtime has its own, so nothing is counted
// there: begin main() with `if (!counts_allocations) return cannot_count();`.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "tests/sanitizers.h"

namespace ballast::test {

inline std::atomic<std::uint64_t> allocations{0};
inline std::atomic<std::uint64_t> allocated_bytes{0};

#ifdef BALLAST_TSAN
inline constexpr bool counts_allocations = false;
#else
inline constexpr bool counts_allocations = true;
#endif

inline int cannot_count() {
  std::puts("ThreadSanitizer has an operator new of its own");
  return 77;
}

inline void* counted(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  allocated_bytes.fetch_add(size, std::memory_order_relaxed);
  void* const memory = std::malloc(size != 0 ? size : 1);
  if (memory == nullptr) {
    std::abort();
  }
  return memory;
}

}  // namespace ballast::test

#ifndef BALLAST_TSAN
// The other forms of new end in these.
void* operator new(std::size_t size) {
  return ballast::test::counted(size);
}
void* operator new[](std::size_t size) {
  return ballast::test::counted(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif
