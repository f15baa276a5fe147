// SPDX-License-Identifier: Apache-2.0
// Trap: a coroutine's frame comes from operator new, even if it could be inside its awaiter's
// frame. Hence frames come from a pool, through the promise's operator new.
#include <new>

#include "tests/compiler/canary.h"

static int allocations = 0;

void* operator new(std::size_t size) {
  ++allocations;
  void* const memory = std::malloc(size);
  if (memory == nullptr) {
    std::abort();
  }
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace {

canary::Task<int> one() {
  co_return 1;
}

canary::Task<int> two() {
  const int a = co_await one();
  const int b = co_await one();
  co_return a + b;
}

}  // namespace

int main() {
  allocations = 0;
  const int result = two().run();
  const int seen = allocations;
  if (result != 2) {
    return 1;
  }
  return canary::verdict("each of three frames is on the heap", seen == 3, true);
}
