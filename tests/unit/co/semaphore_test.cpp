// SPDX-License-Identifier: Apache-2.0
#include "lib/co/semaphore.h"

#include <string>

#include "lib/co/sleep.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

struct Fixture {
  co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::Semaphore semaphore{executor, 4};
  co::TaskGroup group{executor};
  std::string trace;
  void go_to(std::int64_t at) {
    clock.advance_to(TimePoint{Nanoseconds{at}});
    test::run(executor);
  }
};

co::Task<void> take(co::Executor& executor, Fixture* f, std::size_t units, char name) {
  const co::Semaphore::Guard guard = co_await f->semaphore.acquire(units);
  f->trace.push_back(name);
  co_await co::yield(executor);
}

co::Task<void> take_until(co::Executor&, Fixture* f, std::size_t units, std::int64_t deadline) {
  const co::Semaphore::Guard guard =
      co_await f->semaphore.acquire_until(units, TimePoint{Nanoseconds{deadline}});
  f->trace.push_back(guard ? 'y' : 'n');
}

void units_are_taken_and_come_back(void**) {
  Fixture f;
  {
    const co::Semaphore::Guard guard = f.semaphore.try_acquire(3);
    assert_true(static_cast<bool>(guard));
    assert_int_equal(f.semaphore.available(), 1);
    assert_false(static_cast<bool>(f.semaphore.try_acquire(2)));
  }
  assert_int_equal(f.semaphore.available(), 4);
}

void waiters_are_served_in_the_order_they_came(void**) {
  Fixture f;
  for (const char name : {'a', 'b', 'c', 'd'}) {
    f.group.spawn("taker", take(f.executor, &f, 3, name));
  }
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "abcd");
}

void a_large_request_at_the_head_is_not_overtaken(void**) {
  Fixture f;
  co::Semaphore::Guard held = f.semaphore.try_acquire(2);
  f.group.spawn("large", take(f.executor, &f, 4, 'L'));
  f.group.spawn("small", take(f.executor, &f, 1, 's'));
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "");
  assert_false(static_cast<bool>(f.semaphore.try_acquire(1)));
  held.release();
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "Ls");
}

void units_move_before_the_waiter_runs(void**) {
  Fixture f;
  co::Semaphore::Guard held = f.semaphore.try_acquire(4);
  f.group.spawn("taker", take(f.executor, &f, 4, 'a'));
  test::run(f.executor);
  held.release();
  assert_int_equal(f.semaphore.available(), 0);
  assert_false(static_cast<bool>(f.semaphore.try_acquire(1)));
  test::run(f.executor);
}

void a_waiter_gives_up_at_its_deadline_with_an_empty_guard(void**) {
  Fixture f;
  co::Semaphore::Guard held = f.semaphore.try_acquire(4);
  f.group.spawn("taker", take_until(f.executor, &f, 1, 10));
  f.go_to(0);
  f.go_to(10);
  assert_string_equal(f.trace.c_str(), "n");
  assert_int_equal(f.semaphore.waiting(), 0);
  held.release();
  assert_int_equal(f.semaphore.available(), 4);
}

void those_behind_one_that_gave_up_are_served(void**) {
  Fixture f;
  const co::Semaphore::Guard held = f.semaphore.try_acquire(2);
  f.group.spawn("large", take_until(f.executor, &f, 4, 10));
  f.group.spawn("small", take(f.executor, &f, 2, 's'));
  f.go_to(0);
  assert_string_equal(f.trace.c_str(), "");
  f.go_to(10);
  assert_string_equal(f.trace.c_str(), "ns");
}

void a_release_in_the_tick_of_the_deadline_loses_no_unit(void**) {
  Fixture f;
  co::Semaphore::Guard held = f.semaphore.try_acquire(4);
  f.group.spawn("taker", take_until(f.executor, &f, 4, 10));
  f.go_to(0);
  held.release();  // granted, not yet run
  f.go_to(10);
  assert_string_equal(f.trace.c_str(), "y");
  assert_int_equal(f.semaphore.available(), 4);
  assert_int_equal(f.executor.stats().refused_wakes, 0);
}

void dismissed_units_are_given_back_by_hand(void**) {
  Fixture f;
  co::Semaphore::Guard guard = f.semaphore.try_acquire(3);
  const std::size_t units = guard.dismiss();
  assert_int_equal(f.semaphore.available(), 1);
  f.semaphore.release(units);
  assert_int_equal(f.semaphore.available(), 4);
}

void a_request_that_can_never_be_met_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    (void)f.semaphore.acquire(5);
  }));
}

void giving_back_more_than_was_taken_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    f.semaphore.release(1);
  }));
}

void a_semaphore_that_goes_with_units_out_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    const co::Semaphore::Guard held = f.semaphore.try_acquire(1);
    f.semaphore.~Semaphore();
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(units_are_taken_and_come_back),
      cmocka_unit_test(waiters_are_served_in_the_order_they_came),
      cmocka_unit_test(a_large_request_at_the_head_is_not_overtaken),
      cmocka_unit_test(units_move_before_the_waiter_runs),
      cmocka_unit_test(a_waiter_gives_up_at_its_deadline_with_an_empty_guard),
      cmocka_unit_test(those_behind_one_that_gave_up_are_served),
      cmocka_unit_test(a_release_in_the_tick_of_the_deadline_loses_no_unit),
      cmocka_unit_test(dismissed_units_are_given_back_by_hand),
      cmocka_unit_test(a_request_that_can_never_be_met_asserts),
      cmocka_unit_test(giving_back_more_than_was_taken_asserts),
      cmocka_unit_test(a_semaphore_that_goes_with_units_out_asserts),
  };
  return cmocka_run_group_tests_name("semaphore", tests, nullptr, nullptr);
}
