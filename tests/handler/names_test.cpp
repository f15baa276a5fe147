// SPDX-License-Identifier: Apache-2.0
// Parsing of texts from the kernel and the daemon.
#include <string>

#include "handler/config_string.h"
#include "handler/lun_name.h"
#include "tests/cmocka.h"

using namespace ballast::handler;

// lun_name() asks the daemon; nothing here calls it.
namespace ballast::handler::abi {
extern "C" const char* tcmu_dev_get_uio_name(tcmu_device*) noexcept {
  return "";
}
}  // namespace ballast::handler::abi

namespace {

void a_backstore_is_the_second_and_third_part(void**) {
  const Backstore found = backstore_of("tcm-user/7/vol0/ballast/file=/srv/vol0.raw\n");
  assert_string_equal(std::string{found.hba}.c_str(), "7");
  assert_string_equal(std::string{found.name}.c_str(), "vol0");
}

void other_texts_name_no_backstore(void**) {
  for (const char* const text : {"", "tcm-user", "tcm-user/", "tcm-user/0", "tcm-user/0/vol",
                                 "other/0/vol/x", "tcm-user//"}) {
    assert_true(backstore_of(text).name.empty());
  }
}

void the_subtype_is_taken_off_once(void**) {
  assert_true(config_string("ballast/file=/a") == "file=/a");
  assert_true(config_string("ballast/ballast/x") == "ballast/x");
  assert_true(config_string("file=/a") == "file=/a");
  assert_true(config_string("ballast/") == "");
  assert_true(config_string("") == "");
}

void one_newline_at_the_end_means_nothing(void**) {
  assert_true(config_string("ballast/memory\n") == "memory");
  assert_true(config_string("\n") == "");
  assert_true(config_string("ballast/a\n\n") == "a\n");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_backstore_is_the_second_and_third_part),
      cmocka_unit_test(other_texts_name_no_backstore),
      cmocka_unit_test(the_subtype_is_taken_off_once),
      cmocka_unit_test(one_newline_at_the_end_means_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
