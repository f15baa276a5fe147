// SPDX-License-Identifier: Apache-2.0
#include "lib/base/guarded_exit.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

// How a child process ends that does `work` and calls exit(7), and what it has written to stdout.
struct Ended {
  int status = -1;
  std::string output;
};

template <class Work>
Ended run(Work work) {
  int ends[2];
  assert_int_equal(::pipe(ends), 0);
  const pid_t child = ::fork();
  assert_true(child >= 0);
  if (child == 0) {
    (void)::dup2(ends[1], STDOUT_FILENO);
    (void)::close(ends[0]);
    (void)::close(ends[1]);
    std::atexit([] { std::puts("destroyed"); });
    work();
    std::exit(7);
  }
  (void)::close(ends[1]);
  Ended ended;
  std::array<char, 256> bytes;
  for (ssize_t got = 0; (got = ::read(ends[0], bytes.data(), bytes.size())) > 0;) {
    ended.output.append(bytes.data(), static_cast<std::size_t>(got));
  }
  (void)::close(ends[0]);
  int status = 0;
  assert_int_equal(::waitpid(child, &status, 0), child);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

void it_destroys_nothing_and_loses_no_output(void**) {
  const Ended ended = run([] {
    assert_true(guard_exit());
    std::fputs("said", stdout);
  });
  assert_int_equal(ended.status, 7);
  assert_string_equal(ended.output.c_str(), "said");
}

void what_was_made_after_the_first_guard_needs_a_second(void**) {
  const Ended ended = run([] {
    assert_true(guard_exit());
    std::atexit([] { std::puts("late"); });
    assert_true(guard_exit());
  });
  assert_string_equal(ended.output.c_str(), "");
}

void it_waits_for_what_delays_it(void**) {
  const Ended ended = run([] {
    assert_true(guard_exit());
    auto connection = std::make_unique<DelaysExit>();
    std::thread{[connection = std::move(connection)]() mutable {
      std::this_thread::sleep_for(100ms);
      std::puts("closed");
      connection.reset();
    }}.detach();
  });
  assert_int_equal(ended.status, 7);
  assert_string_equal(ended.output.c_str(), "closed\n");
}

void it_does_not_wait_for_ever(void**) {
  const Ended ended = run([] {
    assert_true(guard_exit());
    static const DelaysExit hangs;
    std::puts("left");
  });
  assert_int_equal(ended.status, 7);
  assert_string_equal(ended.output.c_str(), "left\n");
}

}  // namespace

int main() {
  if (exit_is_plain) {
    return 77;
  }
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_destroys_nothing_and_loses_no_output),
      cmocka_unit_test(what_was_made_after_the_first_guard_needs_a_second),
      cmocka_unit_test(it_waits_for_what_delays_it),
      cmocka_unit_test(it_does_not_wait_for_ever),
  };
  return cmocka_run_group_tests_name("guarded_exit", tests, nullptr, nullptr);
}
