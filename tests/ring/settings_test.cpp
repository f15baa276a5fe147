// SPDX-License-Identifier: Apache-2.0
// The built plugin, and what an operator wrote into a configuration string or into ballast.conf
// that is wrong. A new LUN is refused with a sentence; one that there is already goes on.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/ring/support.h"

#include "tests/cmocka.h"
#include "tests/ring/assert_has.h"

using namespace ballast::ring_test;

namespace {

constexpr unsigned good = 0x00;

// ballast.conf, as this process has it.
class Settings {
 public:
  Settings() { ::setenv("BALLAST_CONF", path().c_str(), 1); }
  ~Settings() { ::unsetenv("BALLAST_CONF"); }
  std::string path() const { return folder_.file("ballast.conf"); }
  void are(const char* text) const { std::ofstream{path()} << text; }

 private:
  Folder folder_{"/dev/shm"};
};

constexpr const char* right = "[defaults]\ndeadline = 7s\n";
constexpr const char* wrong = "[defaults]\ndeadline = never\n";

void a_new_lun_is_refused_while_the_settings_are_wrong(void**) {
  const Settings settings;
  settings.are(wrong);
  const std::string said = check_config("ballast/memory");
  assert_has(said, settings.path());
  assert_has(said, "never");
  settings.are(right);
  assert_string_equal(check_config("ballast/memory").c_str(), "");
}

void wrong_settings_keep_no_lun_from_being_opened(void**) {
  const Settings settings;
  settings.are(wrong);
  (void)take_log();
  const auto lun = Lun::add("memory;slow=2s");
  assert_non_null(lun.get());
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
  const std::string log = take_log();
  assert_has(log, "only the settings of the LUN's own string count");
  assert_has(log, settings.path());
}

void a_change_is_refused_while_the_settings_are_wrong(void**) {
  const Settings settings;
  settings.are(right);
  const auto lun = Lun::add("memory");
  assert_non_null(lun.get());
  settings.are(wrong);
  (void)take_log();
  assert_int_not_equal(lun->reconfigure_string("memory;slow=2s"), 0);
  assert_has(take_log(), settings.path());
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
  settings.are(right);
  assert_int_equal(lun->reconfigure_string("memory;slow=2s"), 0);
}

// It knows nothing of the settings that it was opened without.
void a_lun_that_was_opened_without_settings_can_be_changed_once_they_are_right(void**) {
  const Settings settings;
  settings.are(wrong);
  const auto lun = Lun::add("memory");
  assert_non_null(lun.get());
  settings.are(right);
  assert_int_equal(lun->reconfigure_string("memory;slow=2s"), 0);
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
}

void a_string_that_is_wrong_is_refused_at_opening_too(void**) {
  (void)take_log();
  assert_null(Lun::add("memory;deadline=never").get());
  const std::string log = take_log();
  assert_has(log, "memory;deadline=never: cannot be opened: ");
  assert_has(log, "key deadline");
}

void a_change_to_a_string_that_is_wrong_is_refused(void**) {
  const auto lun = Lun::add("memory");
  (void)take_log();
  assert_int_not_equal(lun->reconfigure_string("memory;deadline=never"), 0);
  assert_has(take_log(), "key deadline");
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
}

}  // namespace

int main() {
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_new_lun_is_refused_while_the_settings_are_wrong),
      cmocka_unit_test(wrong_settings_keep_no_lun_from_being_opened),
      cmocka_unit_test(a_change_is_refused_while_the_settings_are_wrong),
      cmocka_unit_test(a_lun_that_was_opened_without_settings_can_be_changed_once_they_are_right),
      cmocka_unit_test(a_string_that_is_wrong_is_refused_at_opening_too),
      cmocka_unit_test(a_change_to_a_string_that_is_wrong_is_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
