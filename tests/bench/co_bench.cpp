// SPDX-License-Identifier: Apache-2.0
// Measures the cost of the scheduler itself. Without arguments it prints nanoseconds for each case,
// the median and the best of many rounds. With --count CASE it runs that case once, for callgrind,
// which counts between the two client requests. co_bench.sh divides the count by the number that is
// printed.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "lib/co/mutex.h"
#include "lib/co/sleep.h"
#include "lib/co/task_group.h"

#if __has_include(<valgrind/callgrind.h>)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#pragma GCC diagnostic ignored "-Wpedantic"
#include <valgrind/callgrind.h>
static void start_counting() {
  CALLGRIND_START_INSTRUMENTATION;
}
static void stop_counting() {
  CALLGRIND_STOP_INSTRUMENTATION;
}
#pragma GCC diagnostic pop
#else
static void start_counting() {}
static void stop_counting() {}
#endif

using namespace ballast;

namespace {

constexpr int batch = 32;     // tasks at once, as an initiator's queue depth
constexpr int batches = 256;  // a round
constexpr int rounds = 41;
constexpr int counted_batches = 32;

struct Bench {
  const co::SteadyClock clock;
  co::Executor executor{"bench", clock};
  co::Mutex mutex{executor};
  co::TaskGroup group{executor};
  std::vector<co::Waker> wakers;

  void drain() {
    while (!executor.idle()) {
      (void)executor.tick();
    }
  }
  // What a reactor does with a batch of completions.
  void complete() {
    for (const co::Waker& waker : wakers) {
      (void)waker.wake();
    }
    wakers.clear();
    drain();
  }
};

co::Task<void> no_suspend(co::Executor&) {
  co_return;
}

co::Task<void> two_suspends(co::Executor& executor, Bench* bench) {
  for (int i = 0; i < 2; ++i) {
    co::Wait wait{executor, "completion"};
    bench->wakers.push_back(wait.waker());
    co_await wait;
  }
}

co::Task<void> call_children(co::Executor& executor) {
  for (int i = 0; i < batch; ++i) {
    co_await no_suspend(executor);
  }
}

co::Task<void> lock_and_unlock(co::Executor&, Bench* bench) {
  for (int i = 0; i < batch; ++i) {
    const co::Mutex::Guard guard = co_await bench->mutex.lock();
  }
}

co::Task<void> hand_over_lock(co::Executor& executor, Bench* bench) {
  const co::Mutex::Guard guard = co_await bench->mutex.lock();
  co_await co::yield(executor);
}

co::Task<void> post_to_self(co::Executor& executor) {
  co::Wait wait{executor, "message"};
  wait.waker().post();
  co_await wait;
}

void run_spawn(Bench& bench) {
  for (int i = 0; i < batch; ++i) {
    bench.group.spawn("task", no_suspend(bench.executor));
  }
  bench.drain();
}

void run_two_suspends(Bench& bench) {
  for (int i = 0; i < batch; ++i) {
    bench.group.spawn("task", two_suspends(bench.executor, &bench));
  }
  bench.drain();
  bench.complete();
  bench.complete();
}

void run_call(Bench& bench) {
  bench.group.spawn("task", call_children(bench.executor));
  bench.drain();
}

void run_mutex(Bench& bench) {
  bench.group.spawn("task", lock_and_unlock(bench.executor, &bench));
  bench.drain();
}

void run_contended_mutex(Bench& bench) {
  for (int i = 0; i < batch; ++i) {
    bench.group.spawn("task", hand_over_lock(bench.executor, &bench));
  }
  bench.drain();
}

void run_post(Bench& bench) {
  for (int i = 0; i < batch; ++i) {
    bench.group.spawn("task", post_to_self(bench.executor));
  }
  bench.drain();
}

struct Case {
  const char* name;
  const char* what;
  void (*run)(Bench&);  // does it `batch` times
};
constexpr Case cases[] = {
    {"two_suspends", "create, two suspends, destroy", run_two_suspends},
    {"spawn", "create and destroy", run_spawn},
    {"call", "await a child that does not suspend", run_call},
    {"mutex", "lock and unlock, free", run_mutex},
    {"mutex_contended", "lock held by another: task, wait, hand-over, yield", run_contended_mutex},
    {"post", "task with one wake through the mailbox", run_post},
};

void measure(const Case& one) {
  Bench bench;
  std::vector<double> nanoseconds;
  for (int round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < batches; ++i) {
      one.run(bench);
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    nanoseconds.push_back(took.count() / (batches * batch));
  }
  std::sort(nanoseconds.begin(), nanoseconds.end());
  std::printf("%-16s %8.1f ns (best %.1f)  %s\n", one.name, nanoseconds[nanoseconds.size() / 2],
              nanoseconds[0], one.what);
}

void count(const Case& one) {
  Bench bench;
  for (int i = 0; i < counted_batches; ++i) {
    one.run(bench);  // to the steady state
  }
  start_counting();
  for (int i = 0; i < counted_batches; ++i) {
    one.run(bench);
  }
  stop_counting();
  std::printf("%d\n", counted_batches * batch);
}

}  // namespace

int main(int argc, char** argv) {
  const bool counts = argc == 3 && std::strcmp(argv[1], "--count") == 0;
  for (const Case& one : cases) {
    if (!counts) {
      measure(one);
    } else if (std::string_view{one.name} == argv[2]) {
      count(one);
    }
  }
  return 0;
}
