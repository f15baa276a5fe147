// SPDX-License-Identifier: Apache-2.0
#include "lib/base/line_limit.h"

#include <chrono>
#include <string>

#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;

namespace {

TimePoint at(Nanoseconds since_start) {
  return TimePoint{since_start};
}

// "-": no line may be written.
std::string words(LineLimit& limit, Nanoseconds since_start) {
  return std::string{limit.next_in_words(at(since_start)).value_or("-")};
}

void one_line_a_second_says_how_many_were_left_out(void**) {
  LineLimit limit;
  assert_string_equal(words(limit, 0s).c_str(), "");
  assert_string_equal(words(limit, 1ms).c_str(), "-");
  assert_string_equal(words(limit, 999ms).c_str(), "-");
  assert_string_equal(words(limit, 1s).c_str(), " (2 lines like it were left out)");
  assert_string_equal(words(limit, 5s).c_str(), "");
}

void several_lines_are_let_through_in_each_window(void**) {
  LineLimit limit{3, 10s};
  for (int i = 0; i < 3; ++i) {
    assert_int_equal(limit.next(at(1s)).value_or(99), 0);
  }
  assert_false(limit.next(at(10s)).has_value());
  assert_int_equal(limit.next(at(11s)).value_or(99), 1);
  assert_int_equal(limit.next(at(11s)).value_or(99), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(one_line_a_second_says_how_many_were_left_out),
      cmocka_unit_test(several_lines_are_let_through_in_each_window),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
