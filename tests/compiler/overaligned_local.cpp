// SPDX-License-Identifier: Apache-2.0
// Trap: a local of alignas(64) in a coroutine gets only the alignment of operator new, 16. Hence no
// over-aligned object (an Executor, a Mailbox) is a local of a coroutine.
#include <cstdint>
#include <new>

#include "tests/compiler/canary.h"

namespace {

struct alignas(64) Line {
  unsigned char bytes[64];
};

struct Coroutine {
  struct promise_type {
    Coroutine get_return_object() { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
    // 16 bytes past a multiple of 64: all that operator new promises, and no more by luck.
    static void* operator new(std::size_t size) {
      return static_cast<unsigned char*>(::operator new (size + 64, std::align_val_t{64})) + 16;
    }
    static void operator delete(void* memory) {
      ::operator delete (static_cast<unsigned char*>(memory) - 16, std::align_val_t{64});
    }
  };
};

Coroutine where_is_the_local(std::uintptr_t* at) {
  Line line{};
  co_await std::suspend_never{};
  *at = reinterpret_cast<std::uintptr_t>(&line);
}

}  // namespace

int main() {
  std::uintptr_t at = 0;
  (void)where_is_the_local(&at);
  return canary::verdict("a local of alignas(64) in a frame is not aligned", at % 64 != 0, true);
}
