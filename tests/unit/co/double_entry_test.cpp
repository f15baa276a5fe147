// SPDX-License-Identifier: Apache-2.0
// The crash that this scheduler was made to prevent. A coroutine does I/O, goes on, and waits for a
// lock that another one holds. Then the completion of that I/O comes a second time. If it resumed
// the coroutine, the coroutine would leave its wait, believe that it owns the lock, and destroy
// memory that others use.
//
// The target unit-guard-off builds this test and lib/co once more with the guard switched off, and
// succeeds only if the test then fails. That shows that the test really tests the guard.
#include <cstring>
#include <string>
#include <thread>

#include "lib/co/mutex.h"
#include "lib/co/sleep.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

struct Lun {
  const co::VirtualClock clock;
  co::Executor executor{"lun0", clock};
  co::Mutex lock{executor};
  test::RefusedWakes refused{executor};
  co::TaskGroup group{executor};
  co::Waker io_done;        // what the storage completes, as often as it likes
  co::Waker holder_leaves;  // lets the holder unlock
  int inside = 0;           // who believes to own the lock
  int most_inside = 0;
  std::string trace;

  void enter(char name) {
    trace.push_back(name);
    most_inside = ++inside > most_inside ? inside : most_inside;
  }
  void leave() { --inside; }
};

co::Task<void> hold_the_lock(co::Executor& executor, Lun* lun) {
  const co::Mutex::Guard guard = co_await lun->lock.lock();
  lun->enter('h');
  co::Wait wait{executor, "told to leave"};
  lun->holder_leaves = wait.waker();
  co_await wait;
  lun->leave();
}

co::Task<void> write_block(co::Executor& executor, Lun* lun) {
  co::Wait wait{executor, "block write"};
  lun->io_done = wait.waker();
  co_await wait;
}

co::Task<void> write_then_lock(co::Executor& executor, Lun* lun) {
  co_await write_block(executor, lun);
  const co::Mutex::Guard guard = co_await lun->lock.lock();
  lun->enter('w');
  co_await co::yield(executor);
  lun->leave();
}

// The writer has had its completion and waits for the lock.
void bring_the_writer_to_the_lock(Lun& lun, co::Site completion) {
  lun.group.spawn("holder", hold_the_lock(lun.executor, &lun));
  lun.group.spawn("writer", write_then_lock(lun.executor, &lun));
  test::run(lun.executor);
  (void)lun.io_done.wake(0, completion);
  test::run(lun.executor);
}

void finish(Lun& lun) {
  (void)lun.holder_leaves.wake();
  test::run(lun.executor);
}

void a_late_completion_does_not_open_the_lock(void**) {
  Lun lun;
  bring_the_writer_to_the_lock(lun, co::Site::current());
  assert_false(lun.io_done.wake());
  test::run(lun.executor);
  assert_string_equal(lun.trace.c_str(), "h");
  assert_true(lun.lock.locked());
  assert_int_equal(lun.lock.waiting(), 1);
  finish(lun);
  assert_string_equal(lun.trace.c_str(), "hw");
  assert_int_equal(lun.most_inside, 1);
  assert_int_equal(lun.group.live(), 0);
}

void it_is_counted_and_reported_with_both_places(void**) {
  Lun lun;
  const co::Site first = co::Site::current();
  const co::Site late = co::Site::current();
  bring_the_writer_to_the_lock(lun, first);
  (void)lun.io_done.wake(0, late);
  finish(lun);
  assert_int_equal(lun.executor.stats().refused_wakes, 1);
  const co::RefusedWake& refused = lun.refused.all.at(0);
  assert_string_equal(refused.what, "block write");
  assert_non_null(std::strstr(refused.wait_site.function_name(), "write_block"));
  assert_int_equal(refused.first_wake.line(), first.line());
  assert_int_equal(refused.second_wake.line(), late.line());
  assert_true(refused.slot_reused);  // by the wait for the lock: the dangerous case
  assert_string_equal(refused.now_what, "mutex");
  assert_non_null(std::strstr(refused.now_wait_site.function_name(), "write_then_lock"));
}

void a_completion_that_comes_twice_at_once_enters_once(void**) {
  Lun lun;
  lun.group.spawn("holder", hold_the_lock(lun.executor, &lun));
  lun.group.spawn("writer", write_then_lock(lun.executor, &lun));
  test::run(lun.executor);
  assert_true(lun.io_done.wake());
  assert_false(lun.io_done.wake());
  test::run(lun.executor);
  assert_string_equal(lun.trace.c_str(), "h");
  finish(lun);
  assert_string_equal(lun.trace.c_str(), "hw");
  assert_int_equal(lun.most_inside, 1);
}

void a_late_completion_from_another_thread_is_refused_too(void**) {
  Lun lun;
  bring_the_writer_to_the_lock(lun, co::Site::current());
  std::thread storage{[waker = lun.io_done] { waker.post(); }};
  storage.join();
  test::run(lun.executor);
  assert_int_equal(lun.executor.stats().refused_wakes, 1);
  assert_string_equal(lun.trace.c_str(), "h");
  finish(lun);
  assert_int_equal(lun.most_inside, 1);
}

void a_completion_after_the_task_has_ended_touches_nothing(void**) {
  Lun lun;
  bring_the_writer_to_the_lock(lun, co::Site::current());
  finish(lun);
  assert_int_equal(lun.group.live(), 0);
  assert_false(lun.io_done.wake());
  test::run(lun.executor);
  assert_int_equal(lun.executor.stats().refused_wakes, 1);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_late_completion_does_not_open_the_lock),
      cmocka_unit_test(it_is_counted_and_reported_with_both_places),
      cmocka_unit_test(a_completion_that_comes_twice_at_once_enters_once),
      cmocka_unit_test(a_late_completion_from_another_thread_is_refused_too),
      cmocka_unit_test(a_completion_after_the_task_has_ended_touches_nothing),
  };
  return cmocka_run_group_tests_name("double entry", tests, nullptr, nullptr);
}
