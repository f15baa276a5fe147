// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "lib/co/mutex.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"
#include "tests/cmocka.h"

using namespace ballast;

namespace {

co::Task<void> append_under_lock(co::Executor& executor, co::Mutex& mutex, char name,
                                 std::string* trace) {
  const co::Mutex::Guard guard = co_await mutex.lock();
  trace->push_back(name);
  co::Wait wait{executor, "one turn"};
  wait.waker().post();
  co_await wait;
  trace->push_back(name);
}

void waiters_own_the_lock_in_the_order_they_came(void**) {
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::Mutex mutex{executor};
  co::TaskGroup group{executor};
  std::string trace;
  for (const char name : {'a', 'b', 'c'}) {
    group.spawn("locker", append_under_lock(executor, mutex, name, &trace));
  }
  while (!executor.idle()) {
    executor.tick();
  }
  assert_string_equal(trace.c_str(), "aabbcc");
  assert_int_equal(executor.stats().refused_wakes, 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {cmocka_unit_test(waiters_own_the_lock_in_the_order_they_came)};
  return cmocka_run_group_tests_name("mutex", tests, nullptr, nullptr);
}
