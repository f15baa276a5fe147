// SPDX-License-Identifier: Apache-2.0
#include "lib/co/registry.h"

#include <cstring>

#include "lib/co/mutex.h"
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
  co::Waker waker;
  const co::TaskInfo& only() { return *executor.registry().first(); }
};

co::Task<void> wait_for_disk(co::Executor& executor, co::Waker* waker) {
  co::Wait wait{executor, "disk"};
  *waker = wait.waker();
  co_await wait;
}

co::Task<void> outer(co::Executor& executor, co::Waker* waker) {
  co_await wait_for_disk(executor, waker);
}

void a_live_task_shows_its_name_and_where_it_was_spawned(void**) {
  Fixture f;
  const co::Site here = co::Site::current();
  f.group.spawn("read 4 KiB", outer(f.executor, &f.waker), here);
  assert_int_equal(f.executor.registry().size(), 1);
  assert_string_equal(f.only().name, "read 4 KiB");
  assert_int_equal(f.only().spawn_site.line(), here.line());
  assert_null(f.only().waits_for);
  test::run(f.executor);
  (void)f.waker.wake();
  test::run(f.executor);
}

void a_waiting_task_shows_what_for_where_and_since_when(void**) {
  Fixture f;
  f.group.spawn("reader", outer(f.executor, &f.waker));
  f.clock.advance_to(TimePoint{Nanoseconds{1234}});
  test::run(f.executor);
  f.clock.advance_to(TimePoint{Nanoseconds{9999}});
  test::run(f.executor);
  assert_string_equal(f.only().waits_for, "disk");
  assert_non_null(std::strstr(f.only().wait_site.file_name(), "registry_test.cpp"));
  assert_non_null(std::strstr(f.only().wait_site.function_name(), "wait_for_disk"));
  assert_int_equal(f.only().since.since_start.count(), 1234);
  assert_int_equal(f.only().spawned.since_start.count(), 0);
  (void)f.waker.wake();
  test::run(f.executor);
}

co::Task<void> hold(co::Executor& executor, co::Mutex* mutex, co::Waker* waker) {
  const co::Mutex::Guard guard = co_await mutex->lock();
  co_await wait_for_disk(executor, waker);
}

co::Task<void> lock(co::Executor&, co::Mutex* mutex) {
  const co::Mutex::Guard guard = co_await mutex->lock();
}

void a_wait_for_a_lock_shows_the_line_of_the_lock_call(void**) {
  Fixture f;
  co::Mutex mutex{f.executor};
  f.group.spawn("holder", hold(f.executor, &mutex, &f.waker));
  f.group.spawn("waiter", lock(f.executor, &mutex));
  test::run(f.executor);
  const co::TaskInfo& waiter = *f.only().next;
  assert_string_equal(waiter.waits_for, "mutex");
  assert_non_null(std::strstr(waiter.wait_site.function_name(), "lock("));
  assert_non_null(std::strstr(waiter.wait_site.file_name(), "registry_test.cpp"));
  (void)f.waker.wake();
  test::run(f.executor);
}

co::Task<void> look_at_self(co::Executor& executor, co::Waker* waker, bool* waits) {
  co_await wait_for_disk(executor, waker);
  *waits = executor.registry().first()->waits_for != nullptr;
}

void a_task_that_runs_waits_for_nothing(void**) {
  Fixture f;
  bool waits = true;
  f.group.spawn("looker", look_at_self(f.executor, &f.waker, &waits));
  test::run(f.executor);
  (void)f.waker.wake();
  test::run(f.executor);
  assert_false(waits);
}

void ended_tasks_leave_and_ids_are_never_reused(void**) {
  Fixture f;
  co::Arena arena;
  co::Registry registry{arena};
  co::TaskInfo* const a = registry.add("a", TimePoint{}, co::Site::current());
  co::TaskInfo* const b = registry.add("b", TimePoint{}, co::Site::current());
  const std::uint64_t id = a->id;
  registry.remove(a);
  assert_ptr_equal(registry.first(), b);
  co::TaskInfo* const c = registry.add("c", TimePoint{}, co::Site::current());
  assert_int_not_equal(c->id, id);
  assert_ptr_equal(registry.first()->next, c);  // oldest first
  assert_int_equal(registry.peak(), 2);
  registry.remove(b);
  registry.remove(c);
  assert_int_equal(registry.size(), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_live_task_shows_its_name_and_where_it_was_spawned),
      cmocka_unit_test(a_waiting_task_shows_what_for_where_and_since_when),
      cmocka_unit_test(a_wait_for_a_lock_shows_the_line_of_the_lock_call),
      cmocka_unit_test(a_task_that_runs_waits_for_nothing),
      cmocka_unit_test(ended_tasks_leave_and_ids_are_never_reused),
  };
  return cmocka_run_group_tests_name("registry", tests, nullptr, nullptr);
}
