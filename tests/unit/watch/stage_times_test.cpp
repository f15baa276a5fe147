// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/stage_times.h"

#include <chrono>

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::watch;
using namespace std::chrono_literals;

namespace {

CommandRecord arrived_at(TimePoint at) {
  CommandRecord record;
  record.arrived = at;
  record.stage_since = at;
  return record;
}

void a_command_counts_in_each_stage_where_it_spent_time(void**) {
  const TimePoint begin{1s};
  CommandRecord record = arrived_at(begin);
  record.enter(Stage::fence, begin);
  record.enter(Stage::backend, begin + 3ns);
  StageTimes stages;
  stages.add(record, begin + 3ns + 1ms);
  assert_int_equal(stages.in(Stage::queue).count(), 0);
  assert_int_equal(stages.in(Stage::fence).count(), 1);
  assert_int_equal(stages.in(Stage::fence).buckets[2], 1);
  assert_true(stages.in(Stage::fence).sum == 3ns);
  assert_int_equal(stages.in(Stage::backend).count(), 1);
  assert_true(stages.in(Stage::backend).sum == 1ms);
  assert_int_equal(stages.in(Stage::answer).count(), 0);
}

void a_command_that_took_no_time_counts_nowhere(void**) {
  StageTimes stages;
  stages.add(arrived_at(TimePoint{1s}), TimePoint{1s});
  for (std::size_t i = 0; i < stage_count; ++i) {
    assert_int_equal(stages.in(static_cast<Stage>(i)).count(), 0);
  }
}

// Adds a command that was at the backend for `time`.
StageTimes with(Nanoseconds time) {
  CommandRecord record = arrived_at(TimePoint{});
  record.enter(Stage::backend, TimePoint{});
  StageTimes stages;
  stages.add(record, TimePoint{time});
  return stages;
}

void bounds_are_inclusive(void**) {
  for (std::size_t i = 0; i + 1 < StageTimes::bucket_count; ++i) {
    const Nanoseconds bound = StageTimes::upper_bound(i);
    assert_int_equal(with(bound).in(Stage::backend).buckets[i], 1);
    assert_int_equal(with(bound + 1ns).in(Stage::backend).buckets[i + 1], 1);
  }
}

void the_last_bucket_has_everything_longer(void**) {
  const StageTimes stages = with(Nanoseconds::max());
  assert_int_equal(stages.in(Stage::backend).buckets[StageTimes::bucket_count - 1], 1);
  assert_true(stages.in(Stage::backend).sum == Nanoseconds::max());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_command_counts_in_each_stage_where_it_spent_time),
      cmocka_unit_test(a_command_that_took_no_time_counts_nowhere),
      cmocka_unit_test(bounds_are_inclusive),
      cmocka_unit_test(the_last_bucket_has_everything_longer),
  };
  return cmocka_run_group_tests_name("stage times", tests, nullptr, nullptr);
}
