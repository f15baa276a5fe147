// SPDX-License-Identifier: Apache-2.0
// The gdb command ballast-tasks, on a core file of this program.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "lib/co/mutex.h"
#include "lib/co/sleep.h"
#include "tests/sanitizers.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

co::Task<void> hold_and_sleep(co::Executor& executor, co::Mutex* mutex) {
  const co::Mutex::Guard guard = co_await mutex->lock();
  co_await co::sleep_for(executor, std::chrono::hours{1});
}

co::Task<void> want_lock(co::Executor&, co::Mutex* mutex) {
  const co::Mutex::Guard guard = co_await mutex->lock();
}

[[noreturn]] void crash() {
  co::VirtualClock clock;
  co::Executor executor{"lun7", clock};
  co::Mutex mutex{executor};
  co::TaskGroup group{executor};
  group.spawn("flusher", hold_and_sleep(executor, &mutex));
  group.spawn("writer", want_lock(executor, &mutex));
  (void)executor.tick();
  clock.advance_to(TimePoint{std::chrono::seconds{5}});
  (void)executor.tick();
  std::abort();
}

std::string output_of(const std::string& command) {
  std::string output;
  FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe != nullptr) {
    char line[512];
    while (std::fgets(line, sizeof line, pipe) != nullptr) {
      output += line;
    }
    (void)::pclose(pipe);
  }
  return output;
}

std::string listing;

void it_names_executor_and_tasks(void**) {
  assert_non_null(std::strstr(listing.c_str(), "executor lun7: 2 tasks"));
  assert_non_null(std::strstr(listing.c_str(), " flusher, age 5.000000 s"));
  assert_non_null(std::strstr(listing.c_str(), " writer, age 5.000000 s"));
}

void it_says_what_each_waits_for_and_where(void**) {
  assert_non_null(std::strstr(listing.c_str(), "waits 5.000000 s for sleep at "));
  assert_non_null(std::strstr(listing.c_str(), "waits 5.000000 s for mutex at "));
  assert_non_null(std::strstr(listing.c_str(), "want_lock"));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--crash") == 0) {
    crash();
  }
#ifdef BALLAST_SANITIZED
  std::puts("a core file would hold the sanitizer's shadow memory");
  return 77;
#endif
  const std::string core = "/tmp/ballast-gdb-test-" + std::to_string(::getpid());
  const std::string program = argv[0];
  (void)output_of(
      "gdb -nx -batch -ex 'set debuginfod enabled off' -ex run -ex 'generate-core-file " + core +
      "' --args " + program + " --crash 2>&1");
  if (::access(core.c_str(), R_OK) != 0) {
    std::puts("no core file: gdb is missing, or may not trace here");
    return 77;
  }
  listing = output_of(
      "gdb -nx -batch -ex 'set debuginfod enabled off' -x lib/co/gdb/ballast.py -ex "
      "ballast-tasks " +
      program + " " + core + " 2>&1");
  (void)std::remove(core.c_str());
  std::fputs(listing.c_str(), stderr);
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_names_executor_and_tasks),
      cmocka_unit_test(it_says_what_each_waits_for_and_where),
  };
  return cmocka_run_group_tests_name("gdb", tests, nullptr, nullptr);
}
