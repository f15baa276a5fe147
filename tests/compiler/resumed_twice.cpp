// SPDX-License-Identifier: Apache-2.0
// Trap: a coroutine that is resumed once too often looks like one that succeeded. done() is true
// and there is a value, the wrong one. A raw handle does not show the difference. Hence wait
// records, and one resume() in the tree.
#include "tests/compiler/canary.h"

namespace {

struct Completion {
  int value = 0;
};

canary::Task<int> sum_of_two(Completion* first, Completion* second) {
  co_await std::suspend_always{};
  const int a = first->value;
  co_await std::suspend_always{};
  const int b = second->value;
  co_return a + b;
}

bool a_second_resume_looks_like_success() {
  Completion first;
  Completion second;
  const canary::Task<int> task = sum_of_two(&first, &second);
  const std::coroutine_handle<canary::Task<int>::promise_type> handle = task.handle();
  handle.resume();
  first.value = 1;
  handle.resume();  // the completion of the first
  handle.resume();  // the same again; the second has not happened
  second.value = 2;
  return handle.done() && handle.promise().value == 1;
}

}  // namespace

int main() {
  const bool seen = canary::survives(a_second_resume_looks_like_success);
  return canary::verdict("a coroutine resumed twice looks like one that succeeded", seen, true);
}
