// SPDX-License-Identifier: Apache-2.0
#include "lib/co/sleep.h"

#include <string>

#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

struct Fixture {
  co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::CancelSource cancel;
  co::TaskGroup group{executor};
  std::string trace;
  void go_to(std::int64_t at) {
    clock.advance_to(TimePoint{Nanoseconds{at}});
    test::run(executor);
  }
};

co::Task<void> sleep_then_write(co::Executor& executor, Fixture* f, std::int64_t time, char name) {
  co_await co::sleep_for(executor, Nanoseconds{time});
  f->trace.push_back(name);
}

co::Task<void> sleep_with_token(co::Executor& executor, Fixture* f, std::int64_t time) {
  const bool whole = co_await co::sleep_for(executor, Nanoseconds{time}, f->cancel.token());
  f->trace.push_back(whole ? 'w' : 'c');
}

void sleepers_wake_in_the_order_of_their_times(void**) {
  Fixture f;
  f.group.spawn("sleeper", sleep_then_write(f.executor, &f, 20, 'b'));
  f.group.spawn("sleeper", sleep_then_write(f.executor, &f, 10, 'a'));
  f.go_to(0);
  f.go_to(9);
  assert_string_equal(f.trace.c_str(), "");
  f.go_to(10);
  assert_string_equal(f.trace.c_str(), "a");
  f.go_to(20);
  assert_string_equal(f.trace.c_str(), "ab");
}

void no_time_is_no_sleep(void**) {
  Fixture f;
  f.group.spawn("sleeper", sleep_then_write(f.executor, &f, 0, 'a'));
  (void)f.executor.tick();
  assert_string_equal(f.trace.c_str(), "a");
}

void a_whole_sleep_says_so(void**) {
  Fixture f;
  f.group.spawn("sleeper", sleep_with_token(f.executor, &f, 10));
  f.go_to(0);
  f.go_to(10);
  assert_string_equal(f.trace.c_str(), "w");
}

void a_cancelled_sleep_ends_at_once_and_leaves_no_timer(void**) {
  Fixture f;
  f.group.spawn("sleeper", sleep_with_token(f.executor, &f, 10));
  f.go_to(5);
  f.cancel.request();
  f.go_to(5);
  assert_string_equal(f.trace.c_str(), "c");
  assert_int_equal(f.executor.timers().size(), 0);
}

void a_sleep_under_a_requested_token_does_not_begin(void**) {
  Fixture f;
  f.cancel.request();
  f.group.spawn("sleeper", sleep_with_token(f.executor, &f, 10));
  (void)f.executor.tick();
  assert_string_equal(f.trace.c_str(), "c");
}

co::Task<void> write_yield_write(co::Executor& executor, Fixture* f, char name) {
  f->trace.push_back(name);
  co_await co::yield(executor);
  f->trace.push_back(name);
}

void yield_lets_everything_ready_go_first(void**) {
  Fixture f;
  for (const char name : {'a', 'b', 'c'}) {
    f.group.spawn("writer", write_yield_write(f.executor, &f, name));
  }
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "abcabc");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(sleepers_wake_in_the_order_of_their_times),
      cmocka_unit_test(no_time_is_no_sleep),
      cmocka_unit_test(a_whole_sleep_says_so),
      cmocka_unit_test(a_cancelled_sleep_ends_at_once_and_leaves_no_timer),
      cmocka_unit_test(a_sleep_under_a_requested_token_does_not_begin),
      cmocka_unit_test(yield_lets_everything_ready_go_first),
  };
  return cmocka_run_group_tests_name("sleep", tests, nullptr, nullptr);
}
