// SPDX-License-Identifier: Apache-2.0
// Random lives of a log (lives.h).
//
//   BALLAST_SEED=<seed> build/tests/unit/write_log/lives_test    that run, and those after it
//   SIM_SECONDS=3600 ...                                         an hour of them
#include <chrono>

#include "tests/unit/write_log/lives.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

using Clock = std::chrono::steady_clock;

void no_log(LogLevel, std::string_view) {}

void nothing_that_was_answered_is_lost(void**) {
  const Clock::time_point end = Clock::now() + co::time_from_environment(std::chrono::seconds{4});
  std::uint64_t seed = co::seed_from_environment("lives");
  std::uint64_t runs = 0;
  std::uint64_t lives = 0;
  std::uint64_t changes = 0;
  std::uint64_t blocks = 0;
  do {
    const test::LivesResult result = test::Lives{seed, {}}.run();
    for (const std::string& complaint : result.complaints) {
      std::fprintf(stderr, "BALLAST_SEED=%llu: %s\n", static_cast<unsigned long long>(seed),
                   complaint.c_str());
    }
    assert_true(result.complaints.empty());
    ++runs;
    lives += result.lives;
    changes += result.changes;
    blocks += result.log_blocks;
    ++seed;
  } while (Clock::now() < end);
  std::fprintf(stderr, "%llu runs, %llu lives, %llu changes, %llu blocks of logs\n",
               static_cast<unsigned long long>(runs), static_cast<unsigned long long>(lives),
               static_cast<unsigned long long>(changes), static_cast<unsigned long long>(blocks));
}

}  // namespace

int main() {
  set_log_sink(&no_log);
  const CMUnitTest tests[] = {cmocka_unit_test(nothing_that_was_answered_is_lost)};
  return cmocka_run_group_tests_name("lives", tests, nullptr, nullptr);
}
