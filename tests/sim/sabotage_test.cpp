// SPDX-License-Identifier: Apache-2.0
// Puts in bugs on purpose (scsi::TaskSetSabotage, sim::StoreSabotage, write_log::Sabotage). The
// random runs must notice each of them soon. This test shows that the runs can notice errors at
// all.
#include <chrono>
#include <cstdio>

#include "lib/co/sim_executor.h"
#include "tests/sim/program.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

// In the build of a sanitizer, on a busy machine, one of them takes 300 s.
constexpr std::chrono::seconds patience{600};

// Whether a run of many, with `bugs`, complains of what it must complain of. The seeds are always
// the same: some bugs show in one run of a hundred, and nothing is to depend on luck.
bool is_noticed(const char* name, const sim::RunOptions& bugs, const char* complaint) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point began = Clock::now();
  sim::RunOptions options = bugs;
  options.seed = co::seed_from_environment(name, 1);
  for (std::uint64_t runs = 1; Clock::now() < began + patience; ++runs, ++options.seed) {
    const sim::RunResult result = sim::run_quietly(options);
    for (const std::string& said : result.complaints) {
      if (said.find(complaint) != std::string::npos) {
        std::fprintf(stderr, "%s: noticed in run %llu, after %.2f s; BALLAST_SEED=%llu\n%s\n", name,
                     static_cast<unsigned long long>(runs),
                     std::chrono::duration<double>(Clock::now() - began).count(),
                     static_cast<unsigned long long>(options.seed), said.c_str());
        return true;
      }
    }
  }
  return false;
}

void late_landings_are_noticed(void**) {
  const sim::RunOptions bugs{.sabotage = {.no_fences = true}};
  assert_true(is_noticed("no_fences", bugs, "cannot have behaved so"));
}

void flushes_that_cover_too_little_are_noticed(void**) {
  const sim::RunOptions bugs{.sabotage = {.adopt_flushes = true}};
  assert_true(is_noticed("adopt_flushes", bugs, "is not safe"));
}

void stale_reads_are_noticed(void**) {
  const sim::RunOptions bugs{.sabotage = {.reads_adopt_over_changes = true}};
  assert_true(is_noticed("reads_adopt_over_changes", bugs, "cannot have behaved so"));
}

void writes_that_land_after_a_fence_are_noticed(void**) {
  const sim::RunOptions bugs{.store_sabotage = {.lands_after_fence = true}};
  assert_true(is_noticed("lands_after_fence", bugs, "cannot have behaved so"));
}

void a_comparison_whose_write_is_repeated_is_noticed(void**) {
  const sim::RunOptions bugs{.store_sabotage = {.repeats_comparisons = true}};
  assert_true(is_noticed("repeats_comparisons", bugs, "cannot have behaved so"));
}

void a_flush_over_lost_data_is_noticed(void**) {
  const sim::RunOptions bugs{.store_sabotage = {.hides_lost_data = true}};
  assert_true(is_noticed("hides_lost_data", bugs, "is not safe"));
}

void a_server_that_loses_safe_data_is_noticed(void**) {
  const sim::RunOptions bugs{.store_sabotage = {.loses_safe_data = true}};
  assert_true(is_noticed("loses_safe_data", bugs, "promised that it was safe"));
}

void a_flush_after_a_server_lost_data_is_noticed(void**) {
  const sim::RunOptions bugs{.store_sabotage = {.forgets_losses = true}};
  assert_true(is_noticed("forgets_losses", bugs, "is not safe"));
  assert_true(is_noticed("forgets_losses", bugs, "although the connection was lost"));
}

void a_client_that_closes_and_tells_of_no_loss_is_noticed(void**) {
  const sim::RunOptions bugs{.store_sabotage = {.closes_silently = true}};
  assert_true(is_noticed("closes_silently", bugs, "is not safe"));
}

void a_shared_server_that_counts_as_exclusive_is_noticed(void**) {
  const sim::RunOptions bugs{.store_sabotage = {.trusts_shared_server = true}};
  assert_true(is_noticed("trusts_shared_server", bugs, "cannot have behaved so"));
}

void reads_past_the_log_are_noticed(void**) {
  const sim::RunOptions bugs{.log_sabotage = {.reads_go_to_store = true}};
  assert_true(is_noticed("reads_go_to_store", bugs, "cannot have behaved so"));
}

void changes_that_pass_a_log_too_early_are_noticed(void**) {
  const sim::RunOptions bugs{.log_sabotage = {.changes_pass_early = true}};
  assert_true(is_noticed("changes_pass_early", bugs, "cannot have behaved so"));
}

void a_failed_log_that_is_opened_again_is_noticed(void**) {
  const sim::RunOptions bugs{.log_sabotage = {.keeps_failed_log = true}};
  assert_true(is_noticed("keeps_failed_log", bugs, "cannot have behaved so"));
}

void a_log_that_trusts_the_cache_of_the_store_is_noticed(void**) {
  const sim::RunOptions bugs{.log_sabotage = {.trim_without_store_flush = true}};
  assert_true(is_noticed("trim_without_store_flush", bugs, "cannot have behaved so"));
}

void a_flush_of_the_log_that_covers_too_little_is_noticed(void**) {
  const sim::RunOptions bugs{.log_sabotage = {.flush_of_wrong_target = true}};
  assert_true(is_noticed("flush_of_wrong_target", bugs, "was not flushed for it"));
}

}  // namespace

int main() {
  sim::prepare_program();
  const CMUnitTest tests[] = {
      cmocka_unit_test(late_landings_are_noticed),
      cmocka_unit_test(flushes_that_cover_too_little_are_noticed),
      cmocka_unit_test(stale_reads_are_noticed),
      cmocka_unit_test(writes_that_land_after_a_fence_are_noticed),
      cmocka_unit_test(a_comparison_whose_write_is_repeated_is_noticed),
      cmocka_unit_test(a_flush_over_lost_data_is_noticed),
      cmocka_unit_test(a_server_that_loses_safe_data_is_noticed),
      cmocka_unit_test(a_flush_after_a_server_lost_data_is_noticed),
      cmocka_unit_test(a_client_that_closes_and_tells_of_no_loss_is_noticed),
      cmocka_unit_test(a_shared_server_that_counts_as_exclusive_is_noticed),
      cmocka_unit_test(reads_past_the_log_are_noticed),
      cmocka_unit_test(a_flush_of_the_log_that_covers_too_little_is_noticed),
      cmocka_unit_test(changes_that_pass_a_log_too_early_are_noticed),
      cmocka_unit_test(a_failed_log_that_is_opened_again_is_noticed),
      cmocka_unit_test(a_log_that_trusts_the_cache_of_the_store_is_noticed),
  };
  return cmocka_run_group_tests_name("sabotage", tests, nullptr, nullptr);
}
