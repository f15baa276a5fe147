// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/naa.h"

#include <set>

#include "tests/cmocka.h"

using namespace ballast;
using scsi::naa_of;

namespace {

std::string name(std::string_view serial) {
  return scsi::to_string(naa_of(serial));
}

void a_uuid_has_the_name_that_lio_gives_it(void**) {
  assert_string_equal(name("3d2f0e1c-77aa-4B55-9c01-0123456789ab").c_str(),
                      "60014053d2f0e1c77aa4b559c0101234");
}

void a_short_hexadecimal_serial_is_filled_up_with_zeros(void**) {
  assert_string_equal(name("ab12").c_str(), "6001405ab12000000000000000000000");
}

// The digits must never change: initiators know the disk by them.
void any_other_serial_is_hashed_whole(void**) {
  assert_string_equal(name("vol-x").c_str(), "60014059d5eaa82992a86d7926292ea4");
  assert_string_equal(name("vol-y").c_str(), "60014059d5ea982992a8524925f2cea4");
}

void serials_that_differ_anywhere_have_different_names(void**) {
  std::set<std::string> names;
  std::size_t count = 0;
  for (const char* const base : {"vol-", "disk ", "a-very-long-serial-number-of-a-volume-"}) {
    for (int i = 0; i < 2000; ++i) {
      names.insert(name(base + std::to_string(i)));
      names.insert(name(std::to_string(i) + base));
      count += 2;
    }
  }
  assert_int_equal(names.size(), count);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_uuid_has_the_name_that_lio_gives_it),
      cmocka_unit_test(a_short_hexadecimal_serial_is_filled_up_with_zeros),
      cmocka_unit_test(any_other_serial_is_hashed_whole),
      cmocka_unit_test(serials_that_differ_anywhere_have_different_names),
  };
  return cmocka_run_group_tests_name("naa", tests, nullptr, nullptr);
}
