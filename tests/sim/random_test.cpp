// SPDX-License-Identifier: Apache-2.0
// Makes SIM_RUNS random runs, divided among the cores, or else as many as fit into SIM_SECONDS
// (default 20). BALLAST_SEED is the seed of the first run; each further run has the next number.
// With SIM_LOGS=1 only runs that draw a write log are made, and the numbers of the others are
// skipped.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "lib/co/sim_executor.h"
#include "tests/sim/chaos.h"
#include "tests/sim/program.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

struct Totals {
  std::uint64_t runs = 0;
  std::uint64_t failed = 0;
  sim::RunResult sum;
};

void add(const sim::RunResult& result, Totals* totals) {
  ++totals->runs;
  totals->failed += result.complaints.empty() ? 0U : 1U;
  totals->sum.commands += result.commands;
  totals->sum.undecided += result.undecided;
  totals->sum.orphaned += result.orphaned;
  totals->sum.adoptions += result.adoptions;
  totals->sum.held += result.held;
  totals->sum.stalls += result.stalls;
  totals->sum.shed += result.shed;
  totals->sum.by_log += result.by_log;
  totals->sum.full_logs += result.full_logs;
}

void tell(const Totals& totals, double seconds) {
  const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  std::fprintf(stderr, "%llu runs in %.1f s, %.0f a minute: %llu commands, %llu orphans, ",
               number(totals.runs), seconds, static_cast<double>(totals.runs) * 60 / seconds,
               number(totals.sum.commands), number(totals.sum.orphaned));
  std::fprintf(stderr,
               "%llu adoptions, %llu held, %llu stalls, %llu shed, %llu by logs, %llu full logs, "
               "%llu blocks undecided\n",
               number(totals.sum.adoptions), number(totals.sum.held), number(totals.sum.stalls),
               number(totals.sum.shed), number(totals.sum.by_log), number(totals.sum.full_logs),
               number(totals.sum.undecided));
}

bool draws_log(std::uint64_t seed) {
  return sim::Chaos::draw_config(seed).log_unit.has_value();
}

// What one process runs.
struct Share {
  std::uint64_t seed;
  std::uint64_t runs;  // 0: as many as fit into the time
};
Share share;

// Starts a process for each core but one, each with a part of the runs of this one.
std::vector<pid_t> share_out() {
  std::vector<pid_t> others;
  for (std::uint64_t cores = std::thread::hardware_concurrency(); cores > 1 && share.runs >= cores;
       --cores) {
    const Share part{.seed = share.seed, .runs = share.runs / cores};
    const pid_t process = ::fork();
    if (process == 0) {
      share = part;
      return {};
    }
    if (process > 0) {
      share = {.seed = share.seed + part.runs, .runs = share.runs - part.runs};
      others.push_back(process);
    }
  }
  return others;
}

void nothing_is_lost_late_or_left_over(void**) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point began = Clock::now();
  const Clock::time_point end = began + co::time_from_environment(std::chrono::seconds{20});
  constexpr std::uint64_t enough_failures = 3;
  sim::RunOptions options;
  options.seed = share.seed;
  const bool logs_alone = std::getenv("SIM_LOGS") != nullptr;
  Totals totals;
  do {
    while (logs_alone && !draws_log(options.seed)) {
      ++options.seed;
    }
    add(sim::run_and_tell(options), &totals);
    ++options.seed;
  } while ((share.runs > 0 ? totals.runs < share.runs : Clock::now() < end) &&
           totals.failed < enough_failures);
  tell(totals, std::chrono::duration<double>(Clock::now() - began).count());
  assert_int_equal(totals.failed, 0);
  // A run that judges nothing finds nothing.
  assert_true(totals.sum.undecided * 100 <= totals.runs);
}

}  // namespace

int main() {
  const char* const wanted = std::getenv("SIM_RUNS");
  share = {.seed = co::seed_from_environment("random_test"),
           .runs = wanted == nullptr ? 0 : std::strtoull(wanted, nullptr, 0)};
  const std::vector<pid_t> others = share_out();
  sim::prepare_program();
  const CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost_late_or_left_over)};
  int failed = cmocka_run_group_tests_name("random", tests, nullptr, nullptr);
  for (const pid_t process : others) {
    int status = 0;
    failed += ::waitpid(process, &status, 0) == process && status == 0 ? 0 : 1;
  }
  return failed;
}
