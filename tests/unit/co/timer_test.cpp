// SPDX-License-Identifier: Apache-2.0
#include "lib/co/timer.h"

#include <memory>
#include <vector>

#include "lib/co/sim_executor.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

struct Fixture {
  co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
  std::vector<int> fired;
  void go_to(std::int64_t at) {
    clock.advance_to(TimePoint{Nanoseconds{at}});
    test::run(executor);
  }
};

co::Task<void> wait_for_timer(co::Executor& executor, std::int64_t at, int name,
                              std::vector<int>* fired) {
  co::Wait wait{executor, "timer"};
  co::Timer timer{executor.timers()};
  timer.arm(TimePoint{Nanoseconds{at}}, wait.waker(), name);
  fired->push_back(static_cast<int>(co_await wait));
}

void timers_fire_in_the_order_of_their_times(void**) {
  Fixture f;
  for (const int at : {30, 10, 20}) {
    f.group.spawn("sleeper", wait_for_timer(f.executor, at, at, &f.fired));
  }
  f.go_to(0);
  f.go_to(100);
  const std::vector<int> expected{10, 20, 30};
  assert_true(f.fired == expected);
}

void equal_times_fire_in_the_order_of_arming(void**) {
  Fixture f;
  for (const int name : {3, 1, 2}) {
    f.group.spawn("sleeper", wait_for_timer(f.executor, 10, name, &f.fired));
  }
  f.go_to(0);
  f.go_to(10);
  const std::vector<int> expected{3, 1, 2};
  assert_true(f.fired == expected);
}

void a_timer_does_not_fire_before_its_time(void**) {
  Fixture f;
  f.group.spawn("sleeper", wait_for_timer(f.executor, 10, 1, &f.fired));
  f.go_to(9);
  assert_true(f.fired.empty());
  assert_int_equal(f.executor.next_timer().since_start.count(), 10);
  f.go_to(10);
  assert_int_equal(f.fired.size(), 1);
  assert_true(f.executor.next_timer() == co::Timers::never);
}

void a_disarmed_timer_does_not_fire(void**) {
  Fixture f;
  const co::Wait wait{f.executor, "timer"};
  co::Timer timer{f.executor.timers()};
  timer.arm(TimePoint{Nanoseconds{5}}, wait.waker());
  assert_true(timer.armed());
  timer.disarm();
  assert_false(timer.armed());
  f.go_to(10);
  assert_true(wait.waker().pending());
}

void a_timer_that_goes_disarms_itself(void**) {
  Fixture f;
  const co::Wait wait{f.executor, "timer"};
  {
    co::Timer timer{f.executor.timers()};
    timer.arm(TimePoint{Nanoseconds{5}}, wait.waker());
  }
  assert_int_equal(f.executor.timers().size(), 0);
  f.go_to(10);
  assert_true(wait.waker().pending());
}

void a_plain_timer_that_comes_second_is_reported(void**) {
  Fixture f;
  test::RefusedWakes refused{f.executor};
  const co::Wait wait{f.executor, "timer"};
  co::Timer timer{f.executor.timers()};
  timer.arm(TimePoint{Nanoseconds{5}}, wait.waker());
  (void)wait.waker().wake();
  f.go_to(10);
  assert_int_equal(refused.all.size(), 1);
}

void a_deadline_that_comes_second_is_silent(void**) {
  Fixture f;
  const co::Wait wait{f.executor, "timer"};
  co::Timer timer{f.executor.timers()};
  timer.arm_deadline(TimePoint{Nanoseconds{5}}, wait.waker());
  (void)wait.waker().wake();
  f.go_to(10);
  assert_int_equal(f.executor.stats().refused_wakes, 0);
  assert_false(timer.armed());
}

void arming_an_armed_timer_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    const co::Wait wait{f.executor, "timer"};
    co::Timer timer{f.executor.timers()};
    timer.arm(TimePoint{}, wait.waker());
    timer.arm(TimePoint{}, wait.waker());
  }));
}

// A heap against the obvious: after any arming and disarming, the rest fires each at its time.
void any_mix_of_arming_and_disarming_keeps_the_order(void**) {
  co::Random random{co::seed_from_environment("timer_test")};
  Fixture f;
  std::vector<std::unique_ptr<co::Wait>> waits;
  std::vector<std::unique_ptr<co::Timer>> timers;
  std::vector<std::int64_t> times;
  for (int i = 0; i < 500; ++i) {
    times.push_back(static_cast<std::int64_t>(random.below(200)));
    waits.push_back(std::make_unique<co::Wait>(f.executor, "timer"));
    timers.push_back(std::make_unique<co::Timer>(f.executor.timers()));
    timers.back()->arm(TimePoint{Nanoseconds{times.back()}}, waits.back()->waker());
    if (random.chance(1, 3)) {
      timers[static_cast<std::size_t>(random.below(timers.size()))]->disarm();
    }
  }
  std::vector<bool> armed;
  for (const auto& timer : timers) {
    armed.push_back(timer->armed());
  }
  for (std::int64_t now = 0; now < 200; ++now) {
    f.go_to(now);
    for (std::size_t i = 0; i < timers.size(); ++i) {
      assert_int_equal(waits[i]->waker().pending(), !(armed[i] && times[i] <= now));
    }
  }
  assert_int_equal(f.executor.timers().size(), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(timers_fire_in_the_order_of_their_times),
      cmocka_unit_test(equal_times_fire_in_the_order_of_arming),
      cmocka_unit_test(a_timer_does_not_fire_before_its_time),
      cmocka_unit_test(a_disarmed_timer_does_not_fire),
      cmocka_unit_test(a_timer_that_goes_disarms_itself),
      cmocka_unit_test(a_plain_timer_that_comes_second_is_reported),
      cmocka_unit_test(a_deadline_that_comes_second_is_silent),
      cmocka_unit_test(arming_an_armed_timer_asserts),
      cmocka_unit_test(any_mix_of_arming_and_disarming_keeps_the_order),
  };
  return cmocka_run_group_tests_name("timer", tests, nullptr, nullptr);
}
