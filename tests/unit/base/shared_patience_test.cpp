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
  SharedPatience patience{5s, 100ms, 2s};
  TimePoint now = at(1h);
  const TimePoint begin = now;
  for (int i = 0; i < 10; ++i) {
    now = now + patience.begin(now);  // each waits it out
    patience.end(now);
    now = now + 50ms;
  }
  assert_true(now - begin <= 5s + 10 * 100ms + 10 * 50ms);
}

void one_that_comes_later_has_all_of_it_again(void**) {
  SharedPatience patience{5s, 100ms, 2s};
  assert_true(patience.begin(at(0s)) == 5s);
  patience.end(at(5s));
  assert_true(patience.begin(at(6s)) == 100ms);
  patience.end(at(6s));
  assert_true(patience.begin(at(9s)) == 5s);
}

void what_was_not_used_is_left_for_the_next(void**) {
  SharedPatience patience{5s, 100ms, 2s};
  (void)patience.begin(at(10s));
  patience.end(at(11s));
  assert_true(patience.begin(at(11s)) == 4s);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(ten_in_a_row_wait_no_longer_than_one_and_a_little),
      cmocka_unit_test(one_that_comes_later_has_all_of_it_again),
      cmocka_unit_test(what_was_not_used_is_left_for_the_next),
  };
  return cmocka_run_group_tests_name("shared_patience", tests, nullptr, nullptr);
}
