// SPDX-License-Identifier: Apache-2.0
// Where the coroutines of a task wait for each other.
#include "lib/co/awaiters.h"

#include <cstring>

#include "lib/co/event.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

constexpr unsigned outer_line = 30;
constexpr unsigned middle_line = 25;

co::Task<void> inner(co::Executor&, co::Event* event) {
  co_await event->wait();
}

co::Task<void> middle(co::Executor& executor, co::Event* event) {
  co_await inner(executor, event);
  co_await event->wait();
}

co::Task<void> outer(co::Executor& executor, co::Event* event) {
  co_await middle(executor, event);
}

struct Fixture {
  co::VirtualClock clock;
  co::Executor executor{"lun", clock};
  co::Event event{executor};
  co::TaskGroup group{executor};
  std::vector<co::Site> places() const { return co::awaited_at(*executor.registry().first()); }
};

void the_nearest_awaiter_comes_first(void**) {
  Fixture fixture;
  fixture.group.spawn("task", outer(fixture.executor, &fixture.event));
  (void)fixture.executor.tick();
  const std::vector<co::Site> places = fixture.places();
  assert_int_equal(places.size(), 2);
  assert_int_equal(places[0].line(), middle_line);
  assert_int_equal(places[1].line(), outer_line);
  assert_non_null(std::strstr(places[0].file_name(), "awaiters_test.cpp"));
  fixture.event.set();
  while (fixture.executor.tick()) {
  }
}

void a_coroutine_that_has_returned_is_not_among_them(void**) {
  Fixture fixture;
  fixture.group.spawn("task", outer(fixture.executor, &fixture.event));
  (void)fixture.executor.tick();
  fixture.event.set();
  fixture.event.reset();
  (void)fixture.executor.tick();
  const std::vector<co::Site> places = fixture.places();
  assert_int_equal(places.size(), 1);
  assert_int_equal(places[0].line(), outer_line);
  fixture.event.set();
  while (fixture.executor.tick()) {
  }
}

void a_task_that_does_not_wait_has_none(void**) {
  Fixture fixture;
  fixture.group.spawn("task", outer(fixture.executor, &fixture.event));
  assert_true(fixture.places().empty());  // it has not begun
  fixture.event.set();
  while (fixture.executor.tick()) {
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_nearest_awaiter_comes_first),
      cmocka_unit_test(a_coroutine_that_has_returned_is_not_among_them),
      cmocka_unit_test(a_task_that_does_not_wait_has_none),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
