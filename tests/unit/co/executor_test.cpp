// SPDX-License-Identifier: Apache-2.0
#include "lib/co/executor.h"

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
  co::TaskGroup group{executor};
  std::string trace;
};

co::Task<void> write_name(co::Executor&, std::string* trace, char name) {
  trace->push_back(name);
  co_return;
}

void what_is_ready_runs_in_the_order_it_came(void**) {
  Fixture f;
  for (const char name : {'a', 'b', 'c', 'd'}) {
    f.group.spawn("writer", write_name(f.executor, &f.trace, name));
  }
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "abcd");
}

class Backwards final : public co::ReadyOrder {
 public:
  std::size_t pick(std::size_t ready_count) override { return ready_count - 1; }
};

void a_ready_order_decides_who_is_next(void**) {
  Fixture f;
  Backwards backwards;
  f.executor.set_ready_order(&backwards);
  for (const char name : {'a', 'b', 'c', 'd'}) {
    f.group.spawn("writer", write_name(f.executor, &f.trace, name));
  }
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "dcba");
  f.group.spawn("writer", write_name(f.executor, &f.trace, 'e'));
  test::run(f.executor);
  assert_string_equal(f.trace.c_str(), "dcbae");
}

co::Task<void> yield_until(co::Executor& executor, const bool* stop) {
  while (!*stop) {
    co_await co::yield(executor);
  }
}

void a_tick_ends_though_something_is_always_ready(void**) {
  Fixture f;
  bool stop = false;
  f.group.spawn("spinner", yield_until(f.executor, &stop));
  (void)f.executor.tick();
  assert_int_equal(f.executor.stats().resumes, co::Executor::resumes_per_tick);
  stop = true;
  test::run(f.executor);
}

co::Task<int> one(co::Executor&) {
  co_return 1;
}

co::Task<void> call_until(co::Executor& executor, const bool* stop) {
  while (!*stop) {
    (void)co_await one(executor);
  }
}

void a_tick_ends_though_chains_of_calls_never_do(void**) {
  Fixture f;
  bool stop = false;
  for (int i = 0; i < 8; ++i) {
    f.group.spawn("caller", call_until(f.executor, &stop));
  }
  (void)f.executor.tick();
  assert_in_range(f.executor.stats().resumes, co::Executor::resumes_per_tick,
                  co::Executor::resumes_per_tick + co::Executor::transfers_per_run);
  stop = true;
  test::run(f.executor);
}

struct CountingHook final : co::TickHook {
  void tick_end() override { ++ends; }
  int ends = 0;
};

void a_tick_hook_is_called_once_a_tick(void**) {
  Fixture f;
  CountingHook hook;
  f.executor.add_tick_hook(hook);
  for (const char name : {'a', 'b'}) {
    f.group.spawn("writer", write_name(f.executor, &f.trace, name));
  }
  (void)f.executor.tick();
  assert_int_equal(hook.ends, 1);
  (void)f.executor.tick();
  assert_int_equal(hook.ends, 2);
  f.executor.remove_tick_hook(hook);
  (void)f.executor.tick();
  assert_int_equal(hook.ends, 2);
}

void tick_says_whether_anything_ran(void**) {
  Fixture f;
  assert_false(f.executor.tick());
  f.group.spawn("writer", write_name(f.executor, &f.trace, 'a'));
  assert_true(f.executor.tick());
  assert_false(f.executor.tick());
}

co::Task<void> tick_inside(co::Executor& executor) {
  (void)executor.tick();
  co_return;
}

void a_tick_inside_a_tick_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    f.group.spawn("nested", tick_inside(f.executor));
    (void)f.executor.tick();
  }));
}

co::Task<void> read_time(co::Executor& executor, co::VirtualClock* clock, TimePoint* at) {
  clock->advance_to(executor.now() + Nanoseconds{5});
  *at = executor.now();
  co_return;
}

void time_stands_still_within_a_tick_and_is_fresh_outside(void**) {
  Fixture f;
  TimePoint inside{Nanoseconds{99}};
  f.group.spawn("reader", read_time(f.executor, &f.clock, &inside));
  (void)f.executor.tick();
  assert_int_equal(inside.since_start.count(), 0);
  assert_int_equal(f.executor.now().since_start.count(), 5);
}

struct Posted {
  co::Executor* executor;
  std::int64_t sum = 0;
  std::string trace;
};

void a_posted_function_runs_at_the_next_tick(void**) {
  Fixture f;
  Posted posted{.executor = &f.executor, .sum = 0, .trace = {}};
  for (const std::int64_t value : {1, 2}) {
    f.executor.post(co::Message{.run =
                                    [](void* context, std::int64_t added) {
                                      auto* const self = static_cast<Posted*>(context);
                                      self->sum += added;
                                      self->trace += std::to_string(added);
                                    },
                                .context = &posted,
                                .value = value,
                                .waker = {},
                                .site = {}});
  }
  assert_int_equal(posted.sum, 0);
  assert_false(f.executor.idle());
  (void)f.executor.tick();
  assert_string_equal(posted.trace.c_str(), "12");
  assert_true(f.executor.idle());
}

void an_executor_with_a_live_task_asserts_when_it_goes(void**) {
  assert_true(test::aborts([] {
    auto* const f = new Fixture;
    bool stop = false;
    f->group.spawn("spinner", yield_until(f->executor, &stop));
    (void)f->executor.tick();
    f->executor.~Executor();
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_is_ready_runs_in_the_order_it_came),
      cmocka_unit_test(a_ready_order_decides_who_is_next),
      cmocka_unit_test(a_tick_ends_though_something_is_always_ready),
      cmocka_unit_test(a_tick_ends_though_chains_of_calls_never_do),
      cmocka_unit_test(a_tick_hook_is_called_once_a_tick),
      cmocka_unit_test(tick_says_whether_anything_ran),
      cmocka_unit_test(a_tick_inside_a_tick_asserts),
      cmocka_unit_test(time_stands_still_within_a_tick_and_is_fresh_outside),
      cmocka_unit_test(a_posted_function_runs_at_the_next_tick),
      cmocka_unit_test(an_executor_with_a_live_task_asserts_when_it_goes),
  };
  return cmocka_run_group_tests_name("executor", tests, nullptr, nullptr);
}
