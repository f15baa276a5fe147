// SPDX-License-Identifier: Apache-2.0
#include "lib/base/shared_patience.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint at(Nanoseconds since_start) {
  return TimePoint{since_start};
}

void ten_in_a_row_wait_no_longer_than_one_and_a_little(void**) {
  SharedPatience patience{5s, 100ms};
  TimePoint now = at(1h);
  const TimePoint begin = now;
  for (int i = 0; i < 10; ++i) {
    now = now + patience.begin(now);  // each waits it out
    patience.end(now);
    now = now + 50ms;
  }
  assert_true(now - begin <= 5s + 10 * 100ms + 10 * 50ms);
}

void what_was_waited_comes_back_with_time(void**) {
  SharedPatience patience{5s, 100ms};
  assert_true(patience.begin(at(1h)) == 5s);
  patience.end(at(1h + 5s));
  assert_true(patience.begin(at(1h + 6s)) == 1s);
  patience.end(at(1h + 6s));
  assert_true(patience.begin(at(1h + 16s)) == 5s);
}

// As a script makes LUNs on a store that is slow, but not frozen.
void many_who_wait_a_little_have_enough_left(void**) {
  SharedPatience patience{5s, 100ms};
  for (int i = 0; i < 1000; ++i) {
    const TimePoint now = at(1h + i * 600ms);
    assert_true(patience.begin(now) == 5s);
    patience.end(now + 300ms);
  }
}

void what_was_not_used_is_left_for_the_next(void**) {
  SharedPatience patience{5s, 100ms};
  (void)patience.begin(at(1h));
  patience.end(at(1h + 1s));
  assert_true(patience.begin(at(1h + 1s)) == 4s);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(ten_in_a_row_wait_no_longer_than_one_and_a_little),
      cmocka_unit_test(what_was_waited_comes_back_with_time),
      cmocka_unit_test(many_who_wait_a_little_have_enough_left),
      cmocka_unit_test(what_was_not_used_is_left_for_the_next),
  };
  return cmocka_run_group_tests_name("shared_patience", tests, nullptr, nullptr);
}
