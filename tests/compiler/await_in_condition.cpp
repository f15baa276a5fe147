// SPDX-License-Identifier: Apache-2.0
// Trap: a co_await in a condition, in a coroutine that has no local in its outermost scope. The
// compiler lays out the frame wrongly, and the coroutine crashes. Hence the rule: `const auto r =
// co_await f(); if (r) ...`.
#include "tests/compiler/canary.h"

namespace {

canary::Task<bool> yes() {
  co_return true;
}

canary::Task<int> in_if() {
  if (co_await yes()) {
    co_return 1;
  }
  co_return 2;
}

canary::Task<int> in_while() {
  while (co_await yes()) {
    co_return 1;
  }
  co_return 2;
}

canary::Task<int> in_do_while() {
  do {
  } while (!co_await yes());
  co_return 1;
}

canary::Task<int> in_for() {
  for (; co_await yes();) {
    co_return 1;
  }
  co_return 2;
}

canary::Task<int> in_switch() {
  switch (co_await yes() ? 1 : 2) {
    case 1:
      co_return 1;
    default:
      co_return 2;
  }
}

canary::Task<int> before_the_condition() {
  const bool answer = co_await yes();
  if (answer) {
    co_return 1;
  }
  co_return 2;
}

int trap(const char* name, canary::Task<int> (*coroutine)(), bool known) {
  const bool works = canary::survives([coroutine] { return coroutine().run() == 1; });
  return canary::verdict(name, !works, known);
}

}  // namespace

int main() {
  return trap("co_await in the condition of if", in_if, true) |
         trap("co_await in the condition of while", in_while, true) |
         trap("co_await in the condition of do", in_do_while, true) |
         trap("co_await in the condition of for", in_for, true) |
         trap("co_await in the condition of switch", in_switch, true) |
         trap("co_await before the condition", before_the_condition, false);
}
