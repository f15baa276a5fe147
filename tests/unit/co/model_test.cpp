// SPDX-License-Identifier: Apache-2.0
// All of lib/co at once, under random schedules from a seed: locks, events, deadlines, semaphores,
// cancellation, and I/O with completions that come early, late, and twice. A model knows what each
// wait must return and how many wakes must be refused.
#include <cstdio>
#include <vector>

#include "lib/co/event.h"
#include "lib/co/mutex.h"
#include "lib/co/semaphore.h"
#include "lib/co/sim_executor.h"
#include "lib/co/sleep.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

constexpr std::size_t units = 4;
constexpr int workers = 24;
constexpr int steps_per_worker = 60;
constexpr int runs = 40;

struct Model {
  explicit Model(std::uint64_t seed) : random{seed ^ 0x5eed}, sim{seed} {}
  co::Random random;
  co::SimExecutor sim;
  co::Mutex mutex{sim.executor()};
  co::Event event{sim.executor()};
  co::Semaphore semaphore{sim.executor(), units};
  co::CancelSource cancel;
  std::vector<co::Waker> wakers;  // of every I/O so far
  std::uint64_t expected_refusals = 0;
  std::int64_t next_value = 0;
  int owners = 0;
  std::size_t units_out = 0;
  int steps = 0;
  int violations = 0;

  void check(bool holds) { violations += holds ? 0 : 1; }
  Nanoseconds time() { return Nanoseconds{static_cast<std::int64_t>(random.below(20))}; }
};

co::Task<void> dawdle(co::Executor& executor, Model* m) {
  if (m->random.chance(1, 2)) {
    co_await co::yield(executor);
  } else {
    co_await co::sleep_for(executor, m->time());
  }
}

co::Task<void> use_mutex(co::Executor& executor, Model* m) {
  const co::Mutex::Guard guard = co_await m->mutex.lock();
  m->check(++m->owners == 1);
  co_await dawdle(executor, m);
  m->check(m->owners-- == 1);
}

co::Task<void> use_semaphore(co::Executor& executor, Model* m) {
  const std::size_t wanted = 1 + static_cast<std::size_t>(m->random.below(units));
  const TimePoint deadline = executor.now() + m->time();
  const co::Semaphore::Guard guard =
      co_await m->semaphore.acquire_until(wanted, deadline, m->cancel.token());
  if (guard) {
    m->units_out += wanted;
    m->check(m->units_out <= units);
    co_await dawdle(executor, m);
    m->units_out -= wanted;
  } else {
    m->check(executor.now() >= deadline || m->cancel.requested());
  }
}

co::Task<void> use_event(co::Executor& executor, Model* m) {
  const TimePoint deadline = executor.now() + m->time();
  const bool came = co_await m->event.wait_until(deadline, m->cancel.token());
  m->check(came || executor.now() >= deadline || m->cancel.requested());
}

co::Task<void> sleep_with_token(co::Executor& executor, Model* m) {
  const TimePoint at = executor.now() + m->time();
  const bool whole = co_await co::sleep_until(executor, at, m->cancel.token());
  m->check(whole ? executor.now() >= at : m->cancel.requested());
}

co::Task<void> do_io(co::Executor& executor, Model* m) {
  co::Wait wait{executor, "I/O"};
  co::Timer completion{executor.timers()};
  const std::int64_t value = ++m->next_value;
  completion.arm(executor.now() + m->time() + Nanoseconds{1}, wait.waker(), value);
  m->wakers.push_back(wait.waker());
  const std::int64_t got = co_await wait;
  m->check(got == value || got == -1);
}

// A storage that completes early, late, and again.
void misbehave(Model* m) {
  if (m->wakers.empty()) {
    return;
  }
  const co::Waker waker = m->wakers[static_cast<std::size_t>(m->random.below(m->wakers.size()))];
  const bool pending = waker.pending();
  m->expected_refusals += pending ? 0 : 1;
  m->check(waker.wake(-1) == pending);
}

co::Task<void> work(co::Executor& executor, Model* m) {
  for (int i = 0; i < steps_per_worker; ++i) {
    const std::uint64_t lot = m->random.below(10);
    if (lot == 0) {
      co_await use_mutex(executor, m);
    } else if (lot <= 2) {
      co_await use_semaphore(executor, m);
    } else if (lot == 3) {
      co_await use_event(executor, m);
    } else if (lot == 4) {
      co_await sleep_with_token(executor, m);
    } else if (lot <= 6) {
      co_await do_io(executor, m);
    } else if (lot == 7) {
      m->event.set();
    } else if (lot == 8) {
      m->event.reset();
    } else {
      misbehave(m);
    }
    if (m->random.below(1000) == 0) {
      m->cancel.request();
    }
    ++m->steps;
  }
}

co::Task<void> work_in_a_group(co::Executor& executor, Model* m) {
  co::TaskGroup group{executor};
  for (int i = 0; i < 3; ++i) {
    group.spawn("child", work(executor, m));
  }
  co_await group.join();
}

void run_model(std::uint64_t seed) {
  Model m{seed};
  test::RefusedWakes refused{m.sim.executor()};
  co::TaskGroup group{m.sim.executor()};
  for (int i = 0; i < workers / 3; ++i) {
    group.spawn("parent", work_in_a_group(m.sim.executor(), &m));
  }
  m.sim.run_until_idle();
  if (m.violations != 0 || group.live() != 0) {
    std::fprintf(stderr, "failed with BALLAST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  }
  assert_int_equal(m.violations, 0);
  assert_int_equal(group.live(), 0);
  assert_int_equal(m.steps, workers * steps_per_worker);
  assert_int_equal(m.sim.executor().stats().refused_wakes, m.expected_refusals);
  assert_int_equal(refused.all.size(), m.expected_refusals);
  assert_int_equal(m.sim.executor().stats().live_waits, 0);
  assert_int_equal(m.sim.executor().timers().size(), 0);
}

void everything_at_once_keeps_its_promises(void**) {
  const std::uint64_t seed = co::seed_from_environment("model_test");
  for (std::uint64_t i = 0; i < runs; ++i) {
    run_model(seed + i);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {cmocka_unit_test(everything_at_once_keeps_its_promises)};
  return cmocka_run_group_tests_name("model", tests, nullptr, nullptr);
}
