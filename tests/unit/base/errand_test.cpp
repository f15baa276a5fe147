// SPDX-License-Identifier: Apache-2.0
#include "lib/base/errand.h"

#include <pthread.h>
#include <signal.h>

#include <new>
#include <string>
#include <thread>

#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

struct Door {
  std::mutex mutex;
  std::condition_variable changed;
  bool is_open = false;
  void pass() {
    std::unique_lock lock{mutex};
    changed.wait(lock, [this] { return is_open; });
  }
  void open() {
    const std::lock_guard lock{mutex};
    is_open = true;
    changed.notify_all();
  }
};

bool all_come_home() {
  for (int i = 0; i < 1000 && errands_under_way() > 0; ++i) {
    std::this_thread::sleep_for(10ms);
  }
  return errands_under_way() == 0;
}

void what_answers_in_time_is_had(void**) {
  const std::optional<int> answer = ask_with_patience<int>("test", 60s, [] { return 42; });
  assert_true(answer.has_value());
  assert_int_equal(*answer, 42);
  assert_true(all_come_home());
}

void what_hangs_is_left_behind_and_its_late_answer_harms_nobody(void**) {
  auto door = std::make_shared<Door>();
  const std::optional<std::string> answer =
      ask_with_patience<std::string>("test", 10ms, [door]() -> std::string {
        door->pass();
        return "late";
      });
  assert_false(answer.has_value());
  assert_int_equal(errands_under_way(), 1);
  door->open();
  assert_true(all_come_home());
}

void it_takes_no_signal_of_the_daemons(void**) {
  const std::optional<bool> blocked = ask_with_patience<bool>("test", 60s, [] {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGCHLD) == 1;
  });
  assert_true(blocked.value_or(false));
}

void no_memory_ends_the_errand_and_not_the_process(void**) {
  const std::optional<int> answer =
      ask_with_patience<int>("test", 50ms, []() -> int { throw std::bad_alloc{}; });
  assert_false(answer.has_value());
  assert_true(all_come_home());
}

void there_is_a_most(void**) {
  auto door = std::make_shared<Door>();
  std::size_t sent = 0;
  while (sent < most_errands && send_errand("test", [door] { door->pass(); })) {
    ++sent;
  }
  // A machine may have fewer threads to give; then that is what says no.
  assert_false(send_errand("test", [] {}));
  assert_int_equal(errands_under_way(), sent);
  door->open();
  assert_true(all_come_home());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_answers_in_time_is_had),
      cmocka_unit_test(what_hangs_is_left_behind_and_its_late_answer_harms_nobody),
      cmocka_unit_test(it_takes_no_signal_of_the_daemons),
      cmocka_unit_test(no_memory_ends_the_errand_and_not_the_process),
      cmocka_unit_test(there_is_a_most),
  };
  return cmocka_run_group_tests_name("errand", tests, nullptr, nullptr);
}
