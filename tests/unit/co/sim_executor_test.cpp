// SPDX-License-Identifier: Apache-2.0
#include "lib/co/sim_executor.h"

#include <string>

#include "lib/co/sleep.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

co::Task<void> worker(co::Executor& executor, std::string* trace, char name, std::int64_t time) {
  for (int i = 0; i < 3; ++i) {
    co_await co::yield(executor);
    trace->push_back(name);
    co_await co::sleep_for(executor, Nanoseconds{time});
  }
}

std::string trace_of(std::uint64_t seed) {
  std::string trace;
  co::SimExecutor sim{seed};
  co::TaskGroup group{sim.executor()};
  for (char name = 'a'; name <= 'j'; ++name) {
    group.spawn("worker", worker(sim.executor(), &trace, name, 10 + name % 3));
  }
  sim.run_until_idle();
  trace += std::to_string(sim.now().since_start.count());
  return trace;
}

void one_seed_gives_one_trace(void**) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    assert_string_equal(trace_of(seed).c_str(), trace_of(seed).c_str());
  }
}

void different_seeds_give_different_orders(void**) {
  int different = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    different += trace_of(seed) != trace_of(seed - 1) ? 1 : 0;
  }
  assert_int_equal(different, 20);
}

// The numbers of the algorithm's published reference output for seed 1234567.
void the_random_numbers_are_those_of_splitmix64(void**) {
  co::Random random{1234567};
  assert_true(random.next() == 6457827717110365317U);
  assert_true(random.next() == 3203168211198807973U);
  assert_true(random.next() == 9817491932198370423U);
}

void time_goes_from_timer_to_timer(void**) {
  co::SimExecutor sim{1};
  std::string trace;
  co::TaskGroup group{sim.executor()};
  group.spawn("worker", worker(sim.executor(), &trace, 'a', 1'000'000'000));
  sim.run_ready();
  assert_string_equal(trace.c_str(), "a");
  assert_int_equal(sim.now().since_start.count(), 0);
  assert_true(sim.advance());
  assert_int_equal(sim.now().since_start.count(), 1'000'000'000);
  assert_string_equal(trace.c_str(), "aa");
  sim.run_until_idle();
  assert_int_equal(sim.now().since_start.count(), 3'000'000'000);
  assert_false(sim.advance());
}

void run_until_stops_at_its_time(void**) {
  co::SimExecutor sim{1};
  std::string trace;
  co::TaskGroup group{sim.executor()};
  group.spawn("worker", worker(sim.executor(), &trace, 'a', 10));
  sim.run_until(TimePoint{Nanoseconds{15}});
  assert_string_equal(trace.c_str(), "aa");
  assert_int_equal(sim.now().since_start.count(), 15);
  sim.run_for(Nanoseconds{5});
  assert_string_equal(trace.c_str(), "aaa");
  sim.run_until_idle();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(one_seed_gives_one_trace),
      cmocka_unit_test(different_seeds_give_different_orders),
      cmocka_unit_test(the_random_numbers_are_those_of_splitmix64),
      cmocka_unit_test(time_goes_from_timer_to_timer),
      cmocka_unit_test(run_until_stops_at_its_time),
  };
  return cmocka_run_group_tests_name("simulated executor", tests, nullptr, nullptr);
}
