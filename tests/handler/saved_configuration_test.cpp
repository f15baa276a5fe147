// SPDX-License-Identifier: Apache-2.0
// Which stores rtslib's saveconfig.json names. A file of one that it names is never made anew.
#include "handler/saved_configuration.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/cmocka.h"

using ballast::handler::saved_configuration_has;

namespace {

std::string made_up_file;

void save(const std::string& text) {
  std::ofstream{made_up_file} << text;
}
// A document with one storage object of these members.
void save_object(const std::string& members) {
  save(R"({"storage_objects": [{)" + members + R"(}], "targets": []})");
}

void a_store_that_is_named_is_found(void**) {
  save(R"({"storage_objects": [{"name": "disk", "plugin": "block", "dev": "/dev/sdb"},
                               {"name": "vol0", "plugin": "user", "config": "ballast/file=/srv/vol0.raw"}]})");
  assert_true(saved_configuration_has("/srv/vol0.raw"));
  assert_false(saved_configuration_has("/srv/vol1.raw"));
}

void it_is_the_same_by_another_spelling(void**) {
  save_object(R"("config": "ballast//srv/./luns/../vol0.raw;cache=buffered")");
  assert_true(saved_configuration_has("/srv//vol0.raw"));
}

void stores_of_other_handlers_are_not_ours(void**) {
  save_object(R"("config": "qcow/srv/vol0.raw")");
  assert_false(saved_configuration_has("/srv/vol0.raw"));
}

void stores_that_are_no_files_have_no_path(void**) {
  save_object(R"("config": "ballast/backend=memory")");
  assert_false(saved_configuration_has(""));
  assert_false(saved_configuration_has("/srv/vol0.raw"));
}

void a_configuration_that_cannot_be_read_names_nothing(void**) {
  for (const char* const members :
       {"", R"("config": null)", R"("config": 7)", R"("config": ["ballast/file=/srv/vol0.raw"])",
        R"("config": "ballast/")", R"("config": "ballast/file=/srv/vol0.raw;deadline=soon")"}) {
    save_object(members);
    assert_false(saved_configuration_has("/srv/vol0.raw"));
  }
}

void a_file_that_is_none_of_rtslibs_names_nothing(void**) {
  for (const char* const text :
       {"", "{", "7", "[]", "{}", R"({"storage_objects": {}})", R"({"storage_objects": "vol0"})",
        R"({"storage_objects": ["vol0", 7, null, []]})"}) {
    save(text);
    assert_false(saved_configuration_has("/srv/vol0.raw"));
  }
}

void one_that_is_missing_names_nothing(void**) {
  std::filesystem::remove(made_up_file);
  assert_false(saved_configuration_has("/srv/vol0.raw"));
}

int make_file(void**) {
  std::string name = std::filesystem::temp_directory_path() / "ballast-saved-XXXXXX";
  const int fd = ::mkstemp(name.data());
  made_up_file = name;
  return fd >= 0 && ::close(fd) == 0 &&
                 ::setenv("BALLAST_SAVED_CONFIGURATION", name.c_str(), 1) == 0
             ? 0
             : 1;
}
int remove_file(void**) {
  std::error_code ignored;
  std::filesystem::remove(made_up_file, ignored);
  return 0;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_store_that_is_named_is_found),
      cmocka_unit_test(it_is_the_same_by_another_spelling),
      cmocka_unit_test(stores_of_other_handlers_are_not_ours),
      cmocka_unit_test(stores_that_are_no_files_have_no_path),
      cmocka_unit_test(a_configuration_that_cannot_be_read_names_nothing),
      cmocka_unit_test(a_file_that_is_none_of_rtslibs_names_nothing),
      cmocka_unit_test(one_that_is_missing_names_nothing),
  };
  return cmocka_run_group_tests_name("saved_configuration", tests, make_file, remove_file);
}
