// SPDX-License-Identifier: Apache-2.0
#include "lib/co/mutex.h"

#include <string>

#include "lib/co/sleep.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

struct Fixture {
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::Mutex mutex{executor};
  co::TaskGroup group{executor};
  std::string trace;
};

co::Task<void> append_under_lock(co::Executor& executor, co::Mutex& mutex, char name,
                                 std::string* trace) {
  const co::Mutex::Guard guard = co_await mutex.lock();
  trace->push_back(name);
  co_await co::yield(executor);
  trace->push_back(name);
}

void waiters_own_the_lock_in_the_order_they_came(void**) {
  Fixture f;
  for (const char name : {'a', 'b', 'c'}) {
    f.group.spawn("locker", append_under_lock(f.executor, f.mutex, name, &f.trace));
  }
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "aabbcc");
  assert_int_equal(f.executor.stats().refused_wakes, 0);
  assert_false(f.mutex.locked());
}

co::Task<void> hold_until(co::Executor& executor, co::Mutex& mutex, co::Waker* waker) {
  const co::Mutex::Guard guard = co_await mutex.lock();
  co::Wait wait{executor, "told to unlock"};
  *waker = wait.waker();
  co_await wait;
}

void a_free_lock_needs_no_wait(void**) {
  Fixture f;
  co::Waker waker;
  f.group.spawn("holder", hold_until(f.executor, f.mutex, &waker));
  (void)f.executor.tick();
  assert_true(f.mutex.locked());
  assert_int_equal(f.executor.stats().live_waits, 1);  // the holder's own
  (void)waker.wake();
  test::run(f.executor);
}

void it_knows_which_task_has_it(void**) {
  Fixture f;
  co::Waker waker;
  assert_null(f.mutex.owner());
  f.group.spawn("holder", hold_until(f.executor, f.mutex, &waker));
  f.group.spawn("waiter", append_under_lock(f.executor, f.mutex, 'w', &f.trace));
  (void)f.executor.tick();
  assert_string_equal(f.mutex.owner()->name, "holder");
  (void)waker.wake();
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "ww");
  assert_null(f.mutex.owner());
}

// The coroutine that has the lock need not be the task's first.
co::Task<void> hold_inside(co::Executor& executor, co::Mutex& mutex, co::Waker* waker) {
  co_await hold_until(executor, mutex, waker);
}

void the_lock_passes_with_its_owner(void**) {
  Fixture f;
  co::Waker first;
  co::Waker second;
  f.group.spawn("first", hold_inside(f.executor, f.mutex, &first));
  f.group.spawn("second", hold_inside(f.executor, f.mutex, &second));
  (void)f.executor.tick();
  assert_string_equal(f.mutex.owner()->name, "first");
  (void)first.wake();
  test::run(f.executor);
  assert_string_equal(f.mutex.owner()->name, "second");
  (void)second.wake();
  test::run(f.executor);
  assert_null(f.mutex.owner());
}

co::Task<void> append_then_lock(co::Executor&, co::Mutex& mutex, char name, std::string* trace) {
  trace->push_back('(');
  const co::Mutex::Guard guard = co_await mutex.lock();
  trace->push_back(name);
}

// The newcomer is queued before the unlock, so it runs before the waiter to whom the lock went; it
// must not get in between.
void ownership_moves_before_the_waiter_runs(void**) {
  Fixture f;
  co::Waker waker;
  f.group.spawn("holder", hold_until(f.executor, f.mutex, &waker));
  f.group.spawn("waiter", append_then_lock(f.executor, f.mutex, 'w', &f.trace));
  test::run(f.executor);
  (void)waker.wake();
  f.group.spawn("newcomer", append_then_lock(f.executor, f.mutex, 'n', &f.trace));
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "((wn");
}

co::Task<void> lock_in_inner_scope(co::Executor& executor, co::Mutex& mutex, bool* free_inside) {
  {
    const co::Mutex::Guard guard = co_await mutex.lock();
    co_await co::yield(executor);
  }
  *free_inside = !mutex.locked();
}

void a_guard_unlocks_at_the_end_of_its_scope(void**) {
  Fixture f;
  bool free_inside = false;
  f.group.spawn("locker", lock_in_inner_scope(f.executor, f.mutex, &free_inside));
  test::run(f.executor);
  assert_true(free_inside);
}

void a_mutex_that_goes_while_locked_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    co::Waker waker;
    f.group.spawn("holder", hold_until(f.executor, f.mutex, &waker));
    test::run(f.executor);
    f.mutex.~Mutex();
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(waiters_own_the_lock_in_the_order_they_came),
      cmocka_unit_test(a_free_lock_needs_no_wait),
      cmocka_unit_test(it_knows_which_task_has_it),
      cmocka_unit_test(the_lock_passes_with_its_owner),
      cmocka_unit_test(ownership_moves_before_the_waiter_runs),
      cmocka_unit_test(a_guard_unlocks_at_the_end_of_its_scope),
      cmocka_unit_test(a_mutex_that_goes_while_locked_asserts),
  };
  return cmocka_run_group_tests_name("mutex", tests, nullptr, nullptr);
}
