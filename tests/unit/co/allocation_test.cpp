// SPDX-License-Identifier: Apache-2.0
// No use of the heap in a steady state: the test counts every operator new of the process.
#include "lib/co/event.h"
#include "lib/co/mutex.h"
#include "lib/co/semaphore.h"
#include "lib/co/sim_executor.h"
#include "lib/co/sleep.h"
#include "tests/unit/co/support.h"
#include "tests/unit/counting_new.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using test::allocations;

namespace {

struct Fixture {
  co::SimExecutor sim{7};
  co::Executor& executor{sim.executor()};
  co::Mutex mutex{executor};
  co::Event event{executor};
  co::Semaphore semaphore{executor, 3};
  co::CancelSource cancel;
};

co::Task<int> compute(co::Executor& executor, int value) {
  co_await co::yield(executor);
  co_return value + 1;
}

co::Task<void> everything(co::Executor& executor, Fixture* f) {
  const co::Mutex::Guard guard = co_await f->mutex.lock();
  const co::Semaphore::Guard slots = co_await f->semaphore.acquire(2);
  (void)co_await f->event.wait_until(executor.now() + Nanoseconds{10}, f->cancel.token());
  co_await co::sleep_for(executor, Nanoseconds{5});
  const int value = co_await compute(executor, 1);
  co::Wait wait{executor, "message"};
  wait.waker().post(value);
  co_await wait;
}

co::Task<void> command(co::Executor& executor, Fixture* f) {
  co::TaskGroup group{executor};
  for (int i = 0; i < 8; ++i) {
    group.spawn("op", everything(executor, f));
  }
  co_await group.join();
}

void round(Fixture& f) {
  co::TaskGroup group{f.executor};
  for (int i = 0; i < 8; ++i) {
    group.spawn("command", command(f.executor, &f));
  }
  f.sim.run_until_idle();
}

void a_steady_state_allocates_nothing(void**) {
  Fixture f;
  round(f);
  const std::uint64_t before = allocations.load();
  assert_true(before > 0);  // the counter counts
  for (int i = 0; i < 100; ++i) {
    round(f);
  }
  assert_int_equal(allocations.load() - before, 0);
}

}  // namespace

int main() {
  if (!test::counts_allocations) {
    return test::cannot_count();
  }
  const CMUnitTest tests[] = {cmocka_unit_test(a_steady_state_allocates_nothing)};
  return cmocka_run_group_tests_name("allocation", tests, nullptr, nullptr);
}
