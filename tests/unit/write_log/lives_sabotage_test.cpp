// SPDX-License-Identifier: Apache-2.0
// Deliberate bugs of the log (sabotage.h), which its random lives (lives.h) must notice. This shows
// that the lives can notice errors at all.
//
//   lives_sabotage_test '*pattern*'             some of them
//   BALLAST_SEED=<seed> lives_sabotage_test     the search begins there
#include <chrono>

#include "tests/sanitizers.h"
#include "tests/unit/write_log/lives.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

using Clock = std::chrono::steady_clock;

void no_log(LogLevel, std::string_view) {}

// Whether a run of many, with the bug, complains. `known` is the seed of one that did. It may do so
// no more when the log or the lives have changed: then the next seeds are tried, and the message
// tells which is good. Nothing here is left to chance, since some bugs show in one run of a
// hundred.
void assert_noticed(const char* name, std::uint64_t known, const write_log::Sabotage& sabotage,
                    bool full = false) {
  constexpr std::chrono::seconds patience{200};
  const Clock::time_point began = Clock::now();
  std::uint64_t seed = co::seed_from_environment(name, known);
  for (std::uint64_t runs = 1; Clock::now() < began + patience; ++runs, ++seed) {
    const test::LivesResult result = test::Lives{seed, sabotage, full}.run();
    if (!result.complaints.empty()) {
      std::fprintf(stderr, "%s: noticed with seed %llu, run %llu, after %.2f s: %s\n", name,
                   static_cast<unsigned long long>(seed), static_cast<unsigned long long>(runs),
                   std::chrono::duration<double>(Clock::now() - began).count(),
                   result.complaints.front().c_str());
      return;
    }
  }
  std::fprintf(stderr, "%s: not noticed\n", name);
  assert_true(false);
}

void counting_a_block_before_its_predecessors_is_noticed(void**) {
  assert_noticed("durable_without_chain", 523, {.durable_without_chain = true});
}
void room_before_the_superblock_is_noticed(void**) {
  assert_noticed("reuse_before_superblock", 1324, {.reuse_before_superblock = true}, true);
}
void following_blocks_by_number_alone_is_noticed(void**) {
  assert_noticed("no_link", 993, {.no_link = true});
}
void reading_what_is_not_written_yet_is_noticed(void**) {
  assert_noticed("index_at_issue", 2476, {.index_at_issue = true});
}
void a_flush_that_counts_for_later_writes_is_noticed(void**) {
  assert_noticed("flush_of_wrong_target", 831, {.flush_of_wrong_target = true});
}
void trimming_without_a_flush_of_the_store_is_noticed(void**) {
  assert_noticed("trim_without_store_flush", 1145, {.trim_without_store_flush = true});
}
void batches_of_several_epochs_are_noticed(void**) {
  assert_noticed("epochs_ignored", 536, {.epochs_ignored = true});
}
void writing_over_what_is_read_is_noticed(void**) {
  assert_noticed("no_pin", 242, {.no_pin = true}, true);
}
void cancelling_what_is_on_its_way_is_noticed(void**) {
  assert_noticed("cancel_after_close", 7025, {.cancel_after_close = true});
}

}  // namespace

int main(int argc, char** argv) {
#ifdef BALLAST_SANITIZED
  std::puts("deliberate bugs are found in the build without sanitizers, which is ten times faster");
  return 77;
#endif
  set_log_sink(&no_log);
  cmocka_set_test_filter(argc > 1 ? argv[1] : nullptr);  // a pattern of names
  const CMUnitTest tests[] = {
      cmocka_unit_test(counting_a_block_before_its_predecessors_is_noticed),
      cmocka_unit_test(room_before_the_superblock_is_noticed),
      cmocka_unit_test(following_blocks_by_number_alone_is_noticed),
      cmocka_unit_test(reading_what_is_not_written_yet_is_noticed),
      cmocka_unit_test(a_flush_that_counts_for_later_writes_is_noticed),
      cmocka_unit_test(trimming_without_a_flush_of_the_store_is_noticed),
      cmocka_unit_test(batches_of_several_epochs_are_noticed),
      cmocka_unit_test(writing_over_what_is_read_is_noticed),
      cmocka_unit_test(cancelling_what_is_on_its_way_is_noticed),
  };
  return cmocka_run_group_tests_name("lives with bugs", tests, nullptr, nullptr);
}
