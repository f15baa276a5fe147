// SPDX-License-Identifier: Apache-2.0
#include "lib/io/helper_thread.h"

#include <atomic>
#include <cerrno>
#include <semaphore>
#include <thread>

#include "lib/io/loop.h"
#include "tests/cmocka.h"
#include "tests/unit/io/support.h"

using namespace ballast;

namespace {

struct House {
  void run() {
    loop.run_until([](void* self) { return static_cast<House*>(self)->group.live() == 0; }, this);
  }
  co::SteadyClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
  io::Loop loop{executor, clock, nullptr, Nanoseconds::max()};
  io::HelperThread helper{executor};
};

co::Task<void> run(io::HelperThread& helper, std::function<int()> work, int* result,
                   co::CancelToken cancel = {}) {
  *result = co_await helper.run(std::move(work), cancel);
}

void the_result_of_a_call_comes_back(void**) {
  House house;
  int result = 0;
  std::thread::id ran_on;
  std::function<int()> work = [&ran_on] {
    ran_on = std::this_thread::get_id();
    return -ENOTTY;
  };
  house.group.spawn("call", run(house.helper, std::move(work), &result));
  house.run();
  assert_int_equal(result, -ENOTTY);
  assert_true(ran_on != std::this_thread::get_id());
}

void calls_run_one_after_the_other_in_order(void**) {
  House house;
  std::vector<int> order;
  int results[20] = {};
  for (int i = 0; i < 20; ++i) {
    std::function<int()> work = [&order, i] {
      order.push_back(i);
      return i;
    };
    house.group.spawn("call", run(house.helper, std::move(work), &results[i]));
  }
  house.run();
  for (int i = 0; i < 20; ++i) {
    assert_int_equal(order[static_cast<std::size_t>(i)], i);
    assert_int_equal(results[i], i);
  }
}

void a_blocking_call_does_not_hold_up_the_executor(void**) {
  House house;
  std::binary_semaphore go_on{0};
  int result = 0;
  std::function<int()> work = [&go_on] {
    go_on.acquire();
    return 1;
  };
  house.group.spawn("call", run(house.helper, std::move(work), &result));
  (void)house.loop.drive();
  (void)house.loop.drive();
  assert_int_equal(house.group.live(), 1);
  go_on.release();
  house.run();
  assert_int_equal(result, 1);
}

void any_number_of_calls_waits_its_turn(void**) {
  House house;
  std::binary_semaphore go_on{0};
  constexpr std::size_t calls = 300;
  int results[calls] = {};
  for (int& result : results) {
    std::function<int()> work = [&go_on, first = &result == &results[0]] {
      if (first) {
        go_on.acquire();
      }
      return 1;
    };
    house.group.spawn("call", run(house.helper, std::move(work), &result));
  }
  (void)house.loop.drive();
  assert_int_equal(house.group.live(), calls);
  assert_int_equal(house.helper.pending(), calls);
  go_on.release();
  house.run();
  for (const int result : results) {
    assert_int_equal(result, 1);
  }
}

void a_call_that_waits_is_withdrawn_and_one_that_runs_is_not(void**) {
  House house;
  std::binary_semaphore begun{0};
  std::binary_semaphore go_on{0};
  std::atomic<int> ran{0};
  co::CancelSource stop;
  int first = 0;
  int second = 0;
  int third = 0;
  int late = 0;
  std::function<int()> blocking = [&] {
    begun.release();
    go_on.acquire();
    return ++ran;
  };
  std::function<int()> quick = [&ran] { return ++ran; };
  house.group.spawn("call", run(house.helper, std::move(blocking), &first, stop.token()));
  house.group.spawn("call", run(house.helper, quick, &second, stop.token()));
  house.group.spawn("call", run(house.helper, quick, &third));
  (void)house.loop.drive();
  begun.acquire();
  stop.request();
  house.group.spawn("call", run(house.helper, quick, &late, stop.token()));
  (void)house.loop.drive();
  assert_int_equal(second, -ECANCELED);
  assert_int_equal(late, -ECANCELED);
  assert_int_equal(house.helper.pending(), 2);
  go_on.release();
  house.run();
  assert_int_equal(first, 1);
  assert_int_equal(third, 2);
}

void a_helper_that_was_never_used_has_no_thread(void**) {
  const House house;
  assert_int_equal(house.helper.pending(), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_result_of_a_call_comes_back),
      cmocka_unit_test(calls_run_one_after_the_other_in_order),
      cmocka_unit_test(a_blocking_call_does_not_hold_up_the_executor),
      cmocka_unit_test(any_number_of_calls_waits_its_turn),
      cmocka_unit_test(a_call_that_waits_is_withdrawn_and_one_that_runs_is_not),
      cmocka_unit_test(a_helper_that_was_never_used_has_no_thread),
  };
  return cmocka_run_group_tests_name("helper thread", tests, nullptr, nullptr);
}
