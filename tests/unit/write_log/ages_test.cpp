// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/ages.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;
using namespace std::chrono_literals;

namespace {

TimePoint at(Nanoseconds time) {
  return TimePoint{time};
}

void the_age_of_a_block_is_that_of_one_just_before_it(void**) {
  Ages ages;
  assert_false(ages.of(1).has_value());
  ages.wrote(1, at(10s));
  ages.wrote(2, at(10s + 50ms));
  ages.wrote(3, at(11s));
  assert_true(ages.of(1) == at(10s));
  assert_true(ages.of(2) == at(10s));
  assert_true(ages.of(3) == at(11s));
  assert_true(ages.of(9) == at(11s));
}

void what_was_dropped_is_forgotten(void**) {
  Ages ages;
  ages.wrote(1, at(1s));
  ages.wrote(2, at(2s));
  ages.wrote(3, at(3s));
  ages.drop_before(3);
  assert_int_equal(ages.kept(), 1);
  assert_true(ages.of(3) == at(3s));
  ages.drop_before(9);
  ages.wrote(9, at(60s));
  ages.drop_before(9);
  assert_true(ages.of(9) == at(60s));
}

void it_is_bounded_and_stays_near(void**) {
  Ages ages;
  std::uint64_t sequence = 0;
  for (Nanoseconds now{}; now < Nanoseconds{1h}; now += 20ms) {
    ages.wrote(++sequence, at(now));
    assert_in_range(ages.kept(), 1, Ages::most);
  }
  for (std::uint64_t number = 1; number <= sequence; number += 997) {
    const TimePoint written = at((number - 1) * Nanoseconds{20ms});
    const std::optional<TimePoint> told = ages.of(number);
    assert_true(told.has_value() && *told <= written);
    assert_true(written - *told <= Nanoseconds{1h} / 100);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_age_of_a_block_is_that_of_one_just_before_it),
      cmocka_unit_test(what_was_dropped_is_forgotten),
      cmocka_unit_test(it_is_bounded_and_stays_near),
  };
  return cmocka_run_group_tests_name("ages", tests, nullptr, nullptr);
}
