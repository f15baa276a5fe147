// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/attempts.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <new>
#include <thread>

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace std::chrono_literals;

namespace {

using Numbers = Attempts<int>;

Numbers::Plan plan(std::function<Numbers::Outcome(const Numbers::Unwanted&)> attempt,
                   Nanoseconds pause) {
  return {.errand = "test",
          .attempt = std::move(attempt),
          .complain = [](const Error&) {},
          .first_pause = pause,
          .longest_pause = pause};
}

void memory_that_runs_out_is_a_reason_to_try_again(void**) {
  const auto tries = std::make_shared<std::atomic<int>>(0);
  const auto attempt = [tries](const Numbers::Unwanted&) -> Numbers::Outcome {
    if (tries->fetch_add(1) < 3) {
      throw std::bad_alloc{};
    }
    return {.result = 7};
  };
  Numbers numbers{plan(attempt, 1ms)};
  for (int i = 0; i < 5000 && numbers.state() != Numbers::State::opened; ++i) {
    std::this_thread::sleep_for(1ms);
  }
  assert_int_equal(numbers.take(), 7);
  assert_int_equal(tries->load(), 4);
}

void it_says_so_meanwhile(void**) {
  Numbers numbers{
      plan([](const Numbers::Unwanted&) -> Numbers::Outcome { throw std::bad_alloc{}; }, 1h)};
  assert_true(numbers.wait(10s) == Numbers::State::waiting);
  assert_int_equal(numbers.error().errno_value, ENOMEM);
}

void what_follows_an_opening_may_run_out_of_memory(void**) {
  const auto attempt = [](const Numbers::Unwanted&) -> Numbers::Outcome {
    return {.result = 7, .afterwards = [] { throw std::bad_alloc{}; }};
  };
  Numbers numbers{plan(attempt, 1ms)};
  assert_true(numbers.wait(10s) == Numbers::State::opened);
  assert_int_equal(numbers.take(), 7);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(memory_that_runs_out_is_a_reason_to_try_again),
      cmocka_unit_test(it_says_so_meanwhile),
      cmocka_unit_test(what_follows_an_opening_may_run_out_of_memory),
  };
  return cmocka_run_group_tests_name("attempts", tests, nullptr, nullptr);
}
