// SPDX-License-Identifier: Apache-2.0
// Trap: without optimization, symmetric transfer is a call and not a jump, so a loop over awaits
// that complete at once overflows the stack. Hence Executor::run() goes from one coroutine to the
// next in a loop, and no await_suspend() returns a handle.
#include "tests/compiler/canary.h"

namespace {

constexpr int rounds = 1'000'000;  // at a few dozen bytes each, far beyond a stack of 8 MiB

canary::Task<int> one() {
  co_return 1;
}

canary::Task<int> many() {
  int sum = 0;
  for (int i = 0; i < rounds; ++i) {
    const int got = co_await one();
    sum += got;
  }
  co_return sum;
}

}  // namespace

int main() {
#ifdef __OPTIMIZE__
  const bool known = false;
  const char* const name = "symmetric transfer grows the stack when optimized";
#else
  const bool known = true;
  const char* const name = "symmetric transfer grows the stack when not optimized";
#endif
  const bool works = canary::survives([] { return many().run() == rounds; });
  return canary::verdict(name, !works, known);
}
