// SPDX-License-Identifier: Apache-2.0
#include "lib/co/pulse.h"

#include <chrono>
#include <optional>
#include <string_view>

#include "lib/co/sleep.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
};

// Reads the pulse on its first way, and again after a wait.
co::Task<void> look(co::Executor& executor, std::optional<co::Pulse::Reading>* first,
                    std::optional<co::Pulse::Reading>* second) {
  *first = executor.pulse().read();
  co_await co::yield(executor);
  *second = executor.pulse().read();
}

struct Hook final : co::TickHook {
  explicit Hook(co::Executor& on) : executor{on} { executor.add_tick_hook(*this); }
  ~Hook() override { executor.remove_tick_hook(*this); }
  void tick_end() override { reading = executor.pulse().read(); }
  co::Executor& executor;
  std::optional<co::Pulse::Reading> reading;
};

void outside_of_a_turn_there_is_nothing_to_read(void**) {
  Fixture f;
  assert_false(f.executor.pulse().read().has_value());
  f.clock.advance_to(TimePoint{3s});
  f.executor.begin_turn();
  const auto reading = f.executor.pulse().read();
  assert_true(reading.has_value());
  assert_true(reading->since == TimePoint{3s});
  assert_int_equal(reading->thread, ::gettid());
  f.executor.end_turn();
  assert_false(f.executor.pulse().read().has_value());
}

void it_names_the_task_that_runs_and_its_last_wait(void**) {
  Fixture f;
  std::optional<co::Pulse::Reading> first;
  std::optional<co::Pulse::Reading> second;
  f.group.spawn("looker", look(f.executor, &first, &second));
  f.executor.begin_turn();
  test::run(f.executor);
  assert_true(first.has_value() && second.has_value());
  assert_string_equal(first->task, "looker");
  assert_int_equal(first->last_wait.line(), 0);
  assert_string_equal(second->task, "looker");
  assert_true(std::string_view{second->last_wait.file_name()}.ends_with("pulse_test.cpp"));
  f.executor.end_turn();
}

void what_runs_behind_the_tasks_is_none_of_them(void**) {
  Fixture f;
  const Hook hook{f.executor};
  std::optional<co::Pulse::Reading> ignored;
  f.group.spawn("looker", look(f.executor, &ignored, &ignored));
  f.executor.begin_turn();
  test::run(f.executor);
  assert_true(hook.reading.has_value() && hook.reading->ends_tick);
  assert_null(hook.reading->task);
  const auto after = f.executor.pulse().read();
  assert_true(after.has_value() && !after->ends_tick);
  assert_null(after->task);
  f.executor.end_turn();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(outside_of_a_turn_there_is_nothing_to_read),
      cmocka_unit_test(it_names_the_task_that_runs_and_its_last_wait),
      cmocka_unit_test(what_runs_behind_the_tasks_is_none_of_them),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
