// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/write_depth.h"

#include "tests/cmocka.h"

using namespace ballast;
using backend::WriteDepth;

namespace {

constexpr Nanoseconds target = std::chrono::milliseconds{60};

// Windows that pass, each with one read that took `took`; 0: none.
void pass(WriteDepth& depth, TimePoint& now, int windows, Nanoseconds took) {
  for (int i = 0; i < windows; ++i) {
    if (took > Nanoseconds{}) {
      depth.read_ended(took, false);
    }
    now = now + WriteDepth::window;
    depth.look(now, Nanoseconds{});
  }
}

void it_begins_with_the_most(void**) {
  const WriteDepth depth{target, 32};
  assert_int_equal(depth.depth(), 32);
}

void a_read_slower_than_the_target_halves_it_down_to_one(void**) {
  WriteDepth depth{target, 32};
  TimePoint now{};
  pass(depth, now, 1, target);
  assert_int_equal(depth.depth(), 32);
  pass(depth, now, 1, target * 2);
  assert_int_equal(depth.depth(), 16);
  pass(depth, now, 10, target * 2);
  assert_int_equal(depth.depth(), 1);
}

void a_slow_read_that_is_still_at_the_store_counts(void**) {
  WriteDepth depth{target, 32};
  depth.look(TimePoint{} + WriteDepth::window, target * 2);
  assert_int_equal(depth.depth(), 16);
}

void it_halves_once_a_window(void**) {
  WriteDepth depth{target, 32};
  TimePoint now{};
  pass(depth, now, 1, target * 2);
  depth.read_ended(target * 2, false);
  depth.look(now + WriteDepth::window / 2, Nanoseconds{});
  assert_int_equal(depth.depth(), 16);
}

void twenty_good_windows_bring_one_more(void**) {
  WriteDepth depth{target, 32};
  TimePoint now{};
  pass(depth, now, 10, target * 2);
  pass(depth, now, 19, target / 2);
  assert_int_equal(depth.depth(), 1);
  pass(depth, now, 1, target / 2);
  assert_int_equal(depth.depth(), 2);
}

void without_reads_it_grows_each_window_after_a_while(void**) {
  WriteDepth depth{target, 8};
  TimePoint now{};
  pass(depth, now, 10, target * 2);
  pass(depth, now, 20, Nanoseconds{});
  assert_int_equal(depth.depth(), 1);
  pass(depth, now, 3, Nanoseconds{});
  assert_int_equal(depth.depth(), 4);
  pass(depth, now, 20, Nanoseconds{});
  assert_int_equal(depth.depth(), 8);
}

void where_reads_are_always_slow_it_does_not_fall_for_that(void**) {
  WriteDepth depth{target, 32};
  TimePoint now{};
  for (int i = 0; i < 100; ++i) {
    depth.read_ended(target, true);
  }
  pass(depth, now, 5, target * 2);
  assert_int_equal(depth.depth(), 32);
  pass(depth, now, 1, target * 4);
  assert_int_equal(depth.depth(), 16);
}

void a_freeze_is_not_taken_for_what_is_usual(void**) {
  WriteDepth depth{target, 32};
  TimePoint now{};
  depth.read_ended(std::chrono::minutes{10}, true);
  pass(depth, now, 1, target * 2);
  assert_int_equal(depth.depth(), 16);
}

void windows_in_which_nobody_looked_count(void**) {
  WriteDepth depth{target, 8};
  TimePoint now{};
  pass(depth, now, 10, target * 2);
  now = now + std::chrono::minutes{1};
  depth.look(now, Nanoseconds{});
  assert_int_equal(depth.depth(), 8);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_begins_with_the_most),
      cmocka_unit_test(a_read_slower_than_the_target_halves_it_down_to_one),
      cmocka_unit_test(a_slow_read_that_is_still_at_the_store_counts),
      cmocka_unit_test(it_halves_once_a_window),
      cmocka_unit_test(twenty_good_windows_bring_one_more),
      cmocka_unit_test(without_reads_it_grows_each_window_after_a_while),
      cmocka_unit_test(where_reads_are_always_slow_it_does_not_fall_for_that),
      cmocka_unit_test(a_freeze_is_not_taken_for_what_is_usual),
      cmocka_unit_test(windows_in_which_nobody_looked_count),
  };
  return cmocka_run_group_tests_name("write_depth", tests, nullptr, nullptr);
}
