// SPDX-License-Identifier: Apache-2.0
#include "lib/lun/kept_modes.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/log.h"
#include "tests/unit/backend/lab.h"

// After all others.
#include "tests/cmocka.h"

using namespace ballast;
using lun::KeptModes;

namespace {

std::vector<std::string> said;

struct Place : test::Lab {
  test::Folder folder;
  KeptModes::Place place{
      .folder = folder.file("modes"), .lun = "vol0", .store = "file=/srv/vol0.raw"};

  Place() {
    said.clear();
    set_log_sink([](LogLevel, std::string_view line) { said.emplace_back(line); });
  }
  std::string file() const { return place.folder + "/vol0"; }
  void keep(KeptModes::Values values) {
    KeptModes modes{executor(), place};
    run(modes.keep(values));
  }
};

constexpr KeptModes::Values protected_without_cache{
    .write_cache = false, .descriptor_sense = true, .software_write_protect = true};

void what_was_kept_is_found(void**) {
  Place here;
  assert_false(KeptModes::find(here.place).value().has_value());
  here.keep(protected_without_cache);
  assert_true(KeptModes::find(here.place).value() == protected_without_cache);
  here.keep({.write_cache = true});
  assert_true(KeptModes::find(here.place).value() == KeptModes::Values{.write_cache = true});
  assert_true(said.empty());
}

void another_store_begins_with_its_defaults(void**) {
  Place here;
  here.keep(protected_without_cache);
  here.place.store = "file=/srv/vol1.raw";
  assert_false(KeptModes::find(here.place).value().has_value());
}

void a_damaged_file_is_told_and_not_believed(void**) {
  Place here;
  here.keep(protected_without_cache);
  std::ofstream{here.file()} << "store=file=/srv/vol0.raw\nwrite_cache=off\n";
  const auto found = KeptModes::find(here.place);
  assert_int_equal(found.error().errno_value, EINVAL);
  assert_true(found.error().message.ends_with("is damaged: it has no write_cache of 0 or 1"));
}

void what_cannot_be_kept_is_told(void**) {
  Place here;
  std::ofstream{here.place.folder} << "a file where the folder is to be";
  here.keep(protected_without_cache);
  assert_int_equal(said.size(), 1);
  assert_true(said[0].find("vol0: what an initiator has set") != std::string::npos);
}

void without_a_folder_nothing_is_found(void**) {
  assert_false(KeptModes::find({}).value().has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_was_kept_is_found),
      cmocka_unit_test(another_store_begins_with_its_defaults),
      cmocka_unit_test(a_damaged_file_is_told_and_not_believed),
      cmocka_unit_test(what_cannot_be_kept_is_told),
      cmocka_unit_test(without_a_folder_nothing_is_found),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
