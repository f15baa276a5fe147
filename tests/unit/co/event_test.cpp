// SPDX-License-Identifier: Apache-2.0
#include "lib/co/event.h"

#include <string>

#include "lib/co/sim_executor.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

struct Fixture {
  co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::Event event{executor};
  co::CancelSource cancel;
  co::TaskGroup group{executor};
  std::string trace;
  void go_to(std::int64_t at) {
    clock.advance_to(TimePoint{Nanoseconds{at}});
    test::run(executor);
  }
};

co::Task<void> wait(co::Executor&, Fixture* f, char name) {
  co_await f->event.wait();
  f->trace.push_back(name);
}

co::Task<void> wait_until(co::Executor&, Fixture* f, std::int64_t at) {
  const bool came = co_await f->event.wait_until(TimePoint{Nanoseconds{at}});
  f->trace.push_back(came ? 'e' : 't');
}

co::Task<void> wait_with_token(co::Executor&, Fixture* f) {
  const bool came = co_await f->event.wait(f->cancel.token());
  f->trace.push_back(came ? 'e' : 'c');
}

void set_lets_everyone_through_in_order(void**) {
  Fixture f;
  for (const char name : {'a', 'b', 'c'}) {
    f.group.spawn("waiter", wait(f.executor, &f, name));
  }
  test::run(f.executor);
  assert_int_equal(f.event.waiting(), 3);
  f.event.set();
  assert_string_equal(f.trace.c_str(), "");
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "abc");
}

void a_set_event_does_not_suspend(void**) {
  Fixture f;
  f.event.set();
  f.group.spawn("waiter", wait(f.executor, &f, 'a'));
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "a");
  assert_int_equal(f.executor.stats().live_waits_peak, 1);  // the spawn's own
}

void after_reset_waits_wait_again(void**) {
  Fixture f;
  f.event.set();
  f.event.reset();
  f.group.spawn("waiter", wait(f.executor, &f, 'a'));
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "");
  f.event.set();
  test::run(f.executor);
}

void who_waited_at_set_goes_through_even_if_reset_follows(void**) {
  Fixture f;
  f.group.spawn("waiter", wait(f.executor, &f, 'a'));
  test::run(f.executor);
  f.event.set();
  f.event.reset();
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "a");
}

void a_wait_ends_at_its_deadline(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_until(f.executor, &f, 10));
  f.go_to(9);
  assert_string_equal(f.trace.c_str(), "");
  f.go_to(10);
  assert_string_equal(f.trace.c_str(), "t");
}

void a_timed_out_wait_has_left_the_event(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_until(f.executor, &f, 10));
  f.go_to(0);
  f.go_to(10);
  assert_int_equal(f.event.waiting(), 0);
  f.event.set();
  f.go_to(20);
  assert_int_equal(f.executor.stats().refused_wakes, 0);
}

void a_set_event_wins_over_its_deadline_and_disarms_it(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_until(f.executor, &f, 10));
  f.go_to(5);
  f.event.set();
  f.go_to(6);
  assert_string_equal(f.trace.c_str(), "e");
  assert_int_equal(f.executor.timers().size(), 0);
}

// The event is set between two ticks, the deadline passes before the next: both have happened when
// the waiter runs.
void losing_the_race_against_set_is_no_refused_wake(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_until(f.executor, &f, 10));
  f.go_to(5);
  f.event.set();
  f.go_to(10);
  assert_string_equal(f.trace.c_str(), "e");
  assert_int_equal(f.executor.stats().refused_wakes, 0);
}

co::Task<void> set_it(co::Executor&, Fixture* f) {
  f->event.set();
  co_return;
}

// Timers fire first, then the one who sets runs, and only then the waiter.
void losing_the_race_against_the_deadline_is_no_refused_wake(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_until(f.executor, &f, 10));
  f.go_to(5);
  f.group.spawn("setter", set_it(f.executor, &f));
  f.go_to(10);
  assert_string_equal(f.trace.c_str(), "t");
  assert_int_equal(f.executor.stats().refused_wakes, 0);
}

void a_past_deadline_does_not_suspend(void**) {
  Fixture f;
  f.clock.advance_to(TimePoint{Nanoseconds{50}});
  f.group.spawn("waiter", wait_until(f.executor, &f, 10));
  (void)f.executor.tick();
  assert_string_equal(f.trace.c_str(), "t");
}

void a_cancelled_wait_ends_and_has_left_the_event(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_with_token(f.executor, &f));
  test::run(f.executor);
  f.cancel.request();
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "c");
  assert_int_equal(f.event.waiting(), 0);
}

void of_set_and_cancellation_the_first_wins_and_neither_is_refused(void**) {
  Fixture f;
  f.group.spawn("waiter", wait_with_token(f.executor, &f));
  test::run(f.executor);
  f.cancel.request();
  f.event.set();
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "c");
  assert_int_equal(f.executor.stats().refused_wakes, 0);
}

void an_event_that_goes_while_waited_for_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    f.group.spawn("waiter", wait(f.executor, &f, 'a'));
    test::run(f.executor);
    f.event.~Event();
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(set_lets_everyone_through_in_order),
      cmocka_unit_test(a_set_event_does_not_suspend),
      cmocka_unit_test(after_reset_waits_wait_again),
      cmocka_unit_test(who_waited_at_set_goes_through_even_if_reset_follows),
      cmocka_unit_test(a_wait_ends_at_its_deadline),
      cmocka_unit_test(a_timed_out_wait_has_left_the_event),
      cmocka_unit_test(a_set_event_wins_over_its_deadline_and_disarms_it),
      cmocka_unit_test(losing_the_race_against_set_is_no_refused_wake),
      cmocka_unit_test(losing_the_race_against_the_deadline_is_no_refused_wake),
      cmocka_unit_test(a_past_deadline_does_not_suspend),
      cmocka_unit_test(a_cancelled_wait_ends_and_has_left_the_event),
      cmocka_unit_test(of_set_and_cancellation_the_first_wins_and_neither_is_refused),
      cmocka_unit_test(an_event_that_goes_while_waited_for_asserts),
  };
  return cmocka_run_group_tests_name("event", tests, nullptr, nullptr);
}
