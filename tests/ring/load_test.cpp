// SPDX-License-Identifier: Apache-2.0
// What the built plugin says when it is loaded, each time in a process of its own.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "lib/base/assert.h"
#include "tests/ring/host.h"
#include "tests/ring/support.h"

#include "tests/cmocka.h"

using namespace ballast::ring_test;

namespace {

[[noreturn]] void load_and_tell(int into) {
  load_built_plugin();
  const std::string log = take_log();
  BALLAST_ASSERT(::write(into, log.data(), log.size()) == static_cast<ssize_t>(log.size()));
  std::exit(0);
}

// `limit`: WatchdogSec of tcmu-runner.service, in microseconds, as systemd passes it.
std::string log_of_loading(const char* limit) {
  int ends[2];
  assert_int_equal(::pipe(ends), 0);
  std::fflush(nullptr);
  const pid_t process = ::fork();
  if (process == 0) {
    ::close(ends[0]);
    ::setenv("NOTIFY_SOCKET", "/dev/shm/ballast-no-such-socket", 1);
    ::setenv("WATCHDOG_USEC", limit, 1);
    load_and_tell(ends[1]);
  }
  ::close(ends[1]);
  std::string log;
  char piece[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], piece, sizeof piece)) > 0;) {
    log.append(piece, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  assert_int_equal(::waitpid(process, &status, 0), process);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return log;
}

void a_watchdog_that_would_take_a_busy_daemon_for_a_stuck_one_is_warned_of(void**) {
  const std::string log = log_of_loading("3000000");
  assert_non_null(std::strstr(log.c_str(), "WatchdogSec=3s of tcmu-runner.service is too short"));
  assert_non_null(std::strstr(log.c_str(), "set 10s at least"));
}

void a_watchdog_with_enough_time_is_not(void**) {
  assert_null(std::strstr(log_of_loading("30000000").c_str(), "too short"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_watchdog_that_would_take_a_busy_daemon_for_a_stuck_one_is_warned_of),
      cmocka_unit_test(a_watchdog_with_enough_time_is_not),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
