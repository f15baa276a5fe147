// SPDX-License-Identifier: Apache-2.0
// Questions to a LUN whose thread does not come to them.
#include "lib/lun/ask.h"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>

#include "lib/co/clock.h"

// After all others.
#include "tests/cmocka.h"

using namespace ballast;

namespace {

std::optional<Result<int>> ask_without_waiting(co::Executor& executor) {
  return lun::ask<int>(executor, Nanoseconds{},
                       [](const std::shared_ptr<lun::Asked<int>>& asked) { asked->answer(1); });
}

void a_thread_that_is_stuck_is_not_asked_until_the_asker_is_stuck_too(void**) {
  const co::SteadyClock clock;
  co::Executor executor{"stuck", clock};
  std::size_t questions = 0;
  std::optional<Result<int>> answer;
  while (!answer.has_value() && questions < 2 * co::Mailbox::capacity) {
    answer = ask_without_waiting(executor);
    ++questions;
  }
  assert_true(answer.has_value());
  assert_int_equal(answer->error().errno_value, EBUSY);
  assert_true(questions < co::Mailbox::capacity);
  assert_int_equal(executor.mailbox().full_waits(), 0);
  // It goes on: the old questions are dealt with, and new ones are taken.
  while (executor.tick()) {
  }
  assert_false(ask_without_waiting(executor).has_value());
  while (executor.tick()) {
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_thread_that_is_stuck_is_not_asked_until_the_asker_is_stuck_too),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
