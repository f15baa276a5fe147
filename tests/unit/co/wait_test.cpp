// SPDX-License-Identifier: Apache-2.0
// The wait record: armed, queued, consumed, once; and what becomes of every wake after the first.
#include "lib/co/wait.h"

#include <cstring>
#include <optional>
#include <string_view>
#include <thread>

#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

struct Fixture {
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
  test::RefusedWakes refused{executor};
  co::Waker waker;
  std::int64_t value = -1;
  int entered = 0;
};

co::Task<void> wait_once(co::Executor& executor, Fixture* f) {
  co::Wait wait{executor, "first"};
  f->waker = wait.waker();
  f->value = co_await wait;
  ++f->entered;
}

co::Task<void> wait_twice(co::Executor& executor, Fixture* f, co::Waker* second) {
  {
    co::Wait wait{executor, "first"};
    f->waker = wait.waker();
    f->value = co_await wait;
    ++f->entered;
  }
  co::Wait wait{executor, "second"};
  *second = wait.waker();
  f->value = co_await wait;
  ++f->entered;
}

void a_wake_ends_the_wait_with_its_value(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_once(f.executor, &f));
  test::run(f.executor);
  assert_true(f.waker.pending());
  assert_true(f.waker.wake(7));
  test::run(f.executor);
  assert_int_equal(f.value, 7);
  assert_int_equal(f.entered, 1);
}

void a_wake_never_runs_inline(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_once(f.executor, &f));
  assert_int_equal(f.entered, 0);
  test::run(f.executor);
  assert_true(f.waker.wake());
  assert_int_equal(f.entered, 0);
  assert_false(f.executor.idle());
  test::run(f.executor);
  assert_int_equal(f.entered, 1);
}

void a_waker_is_pending_until_the_first_wake(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_once(f.executor, &f));
  test::run(f.executor);
  assert_true(f.waker.pending());
  assert_true(f.waker.wake());
  assert_false(f.waker.pending());
  test::run(f.executor);
  assert_false(f.waker.pending());
}

void a_default_waker_names_no_wait(void**) {
  const co::Waker waker;
  assert_false(static_cast<bool>(waker));
  assert_false(waker.pending());
  assert_true(test::aborts([&] { (void)waker.wake(); }));
}

void a_second_wake_while_queued_is_refused(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_once(f.executor, &f));
  test::run(f.executor);
  assert_true(f.waker.wake(1));
  assert_false(f.waker.wake(2));
  test::run(f.executor);
  assert_int_equal(f.value, 1);
  assert_int_equal(f.entered, 1);
  assert_int_equal(f.executor.stats().refused_wakes, 1);
}

void a_second_wake_after_the_end_is_refused(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_once(f.executor, &f));
  test::run(f.executor);
  assert_true(f.waker.wake());
  test::run(f.executor);
  assert_false(f.waker.wake());
  test::run(f.executor);
  assert_int_equal(f.entered, 1);
  assert_int_equal(f.executor.stats().refused_wakes, 1);
}

void a_refused_wake_names_both_places(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_once(f.executor, &f));
  test::run(f.executor);
  const co::Site first = co::Site::current();
  const co::Site second = co::Site::current();
  (void)f.waker.wake(0, first);
  (void)f.waker.wake(0, second);
  test::run(f.executor);
  assert_int_equal(f.refused.all.size(), 1);
  const co::RefusedWake& refused = f.refused.all[0];
  assert_string_equal(refused.what, "first");
  assert_int_equal(refused.first_wake.line(), first.line());
  assert_int_equal(refused.second_wake.line(), second.line());
  assert_non_null(std::strstr(refused.wait_site.file_name(), "wait_test.cpp"));
  assert_non_null(std::strstr(refused.wait_site.function_name(), "wait_once"));
  assert_false(refused.slot_reused);
}

void a_late_wake_does_not_reach_the_wait_that_took_the_slot(void**) {
  Fixture f;
  co::Waker second;
  f.group.spawn("waiter", wait_twice(f.executor, &f, &second));
  test::run(f.executor);
  const co::Site first_site = co::Site::current();
  assert_true(f.waker.wake(0, first_site));
  test::run(f.executor);
  assert_int_equal(f.entered, 1);
  const co::Site late_site = co::Site::current();
  assert_false(f.waker.wake(9, late_site));
  test::run(f.executor);
  assert_int_equal(f.entered, 1);
  assert_true(second.pending());
  const co::RefusedWake& refused = f.refused.all.at(0);
  assert_true(refused.slot_reused);
  assert_string_equal(refused.what, "first");  // its story is still known
  assert_int_equal(refused.first_wake.line(), first_site.line());
  assert_int_equal(refused.second_wake.line(), late_site.line());
  assert_string_equal(refused.now_what, "second");
  assert_true(second.wake(3));
  test::run(f.executor);
  assert_int_equal(f.value, 3);
}

void a_very_late_wake_is_refused_though_its_story_is_forgotten(void**) {
  Fixture f;
  co::Waker late;
  for (int i = 0; i < 3; ++i) {
    const co::Wait wait{f.executor, "again"};
    if (i == 0) {
      late = wait.waker();
    }
  }
  assert_false(late.wake());
  assert_true(f.refused.all.at(0).slot_reused);
  assert_null(f.refused.all.at(0).what);
}

co::Task<void> end_at_once(co::Executor&) {
  co_return;
}

void a_transfer_through_the_slot_does_not_hide_a_late_wake(void**) {
  Fixture f;
  co::Waker late;
  {
    const co::Wait wait{f.executor, "gone"};
    late = wait.waker();
  }
  f.group.spawn("takes the slot", end_at_once(f.executor));
  assert_false(late.wake());
  test::run(f.executor);
  assert_false(late.wake());
  assert_string_equal(f.refused.all.at(0).what, "gone");
  assert_string_equal(f.refused.all.at(1).what, "gone");
  assert_false(f.refused.all.at(1).slot_reused);
}

void a_wake_of_a_wait_nobody_awaited_is_refused(void**) {
  Fixture f;
  co::Waker waker;
  {
    const co::Wait wait{f.executor, "given up"};
    waker = wait.waker();
  }
  assert_false(waker.wake());
  assert_int_equal(f.refused.all.at(0).first_wake.line(), 0);
  assert_int_equal(f.executor.stats().live_waits, 0);
}

co::Task<void> wake_before_await(co::Executor& executor, std::int64_t* value) {
  co::Wait wait{executor, "already there"};
  (void)wait.waker().wake(5);
  *value = co_await wait;
}

void a_wake_before_the_await_is_not_lost(void**) {
  Fixture f;
  f.group.spawn("waiter", wake_before_await(f.executor, &f.value));
  (void)f.executor.tick();
  assert_int_equal(f.value, 5);
  assert_int_equal(f.group.live(), 0);
}

void a_wait_woken_and_never_awaited_leaves_nothing(void**) {
  Fixture f;
  {
    const co::Wait wait{f.executor, "dropped"};
    assert_true(wait.waker().wake());
    assert_false(wait.waker().wake());
  }
  assert_true(f.executor.idle());
  assert_int_equal(f.executor.stats().live_waits, 0);
}

void a_wake_from_another_thread_arrives(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_once(f.executor, &f));
  test::run(f.executor);
  std::thread other{[waker = f.waker] { waker.post(11); }};
  while (f.group.live() > 0) {
    (void)f.executor.tick();
  }
  other.join();
  assert_int_equal(f.value, 11);
}

void of_two_threads_that_wake_one_wins(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_once(f.executor, &f));
  test::run(f.executor);
  std::thread a{[waker = f.waker] { waker.post(1); }};
  std::thread b{[waker = f.waker] { waker.post(2); }};
  a.join();
  b.join();
  test::run(f.executor);
  assert_int_equal(f.entered, 1);
  assert_int_equal(f.executor.stats().refused_wakes, 1);
}

co::Task<void> await_twice(co::Executor& executor) {
  co::Wait wait{executor, "once only"};
  (void)wait.waker().wake();
  co_await wait;
  co_await wait;
}

void awaiting_one_wait_twice_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    f.group.spawn("waiter", await_twice(f.executor));
    test::run(f.executor);
  }));
}

void a_lost_coroutine_asserts_when_its_executor_goes(void**) {
  assert_true(test::aborts([] {
    auto* const f = new Fixture;
    f->group.spawn("waiter", wait_once(f->executor, f));
    test::run(f->executor);
    f->executor.~Executor();
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_wake_ends_the_wait_with_its_value),
      cmocka_unit_test(a_wake_never_runs_inline),
      cmocka_unit_test(a_waker_is_pending_until_the_first_wake),
      cmocka_unit_test(a_default_waker_names_no_wait),
      cmocka_unit_test(a_second_wake_while_queued_is_refused),
      cmocka_unit_test(a_second_wake_after_the_end_is_refused),
      cmocka_unit_test(a_refused_wake_names_both_places),
      cmocka_unit_test(a_late_wake_does_not_reach_the_wait_that_took_the_slot),
      cmocka_unit_test(a_very_late_wake_is_refused_though_its_story_is_forgotten),
      cmocka_unit_test(a_transfer_through_the_slot_does_not_hide_a_late_wake),
      cmocka_unit_test(a_wake_of_a_wait_nobody_awaited_is_refused),
      cmocka_unit_test(a_wake_before_the_await_is_not_lost),
      cmocka_unit_test(a_wait_woken_and_never_awaited_leaves_nothing),
      cmocka_unit_test(a_wake_from_another_thread_arrives),
      cmocka_unit_test(of_two_threads_that_wake_one_wins),
      cmocka_unit_test(awaiting_one_wait_twice_asserts),
      cmocka_unit_test(a_lost_coroutine_asserts_when_its_executor_goes),
  };
  return cmocka_run_group_tests_name("wait", tests, nullptr, nullptr);
}
