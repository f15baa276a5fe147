// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/store_record.h"

#include <fcntl.h>

#include <cerrno>
#include <fstream>

#include "lib/base/unique_fd.h"
#include "tests/unit/backend/lab.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::literals;
using namespace ballast::test;

namespace {

StoreRecord example(const std::string& path) {
  return StoreRecord{.path = path,
                     .lun = "vol0",
                     .size = 1_GiB,
                     .reach = 1_GiB,
                     .identity = {.block_device = false,
                                  .inode = 4711,
                                  .born = "1700000000.000000042",
                                  .device = "",
                                  .file_system = "ext4",
                                  .mount_point = "/srv/with blank",
                                  .mounted = "/dev/sdb1"},
                     .since = "2026-01-01T00:00:00Z"};
}

std::optional<StoreRecord> found(const StoreRecords& records, const std::string& path) {
  const Result<std::optional<StoreRecord>> result = records.find(path);
  assert_true(result.ok());
  return result.value();
}

std::size_t files_in(const std::string& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{folder}) {
    ++count;
  }
  return count;
}

void what_is_kept_is_found(void**) {
  const Folder folder;
  const StoreRecords records{folder.file("not/there/yet")};
  assert_false(found(records, "/srv/vol0.raw").has_value());
  assert_true(records.keep(example("/srv/vol0.raw")).ok());
  assert_true(found(records, "/srv/vol0.raw") == example("/srv/vol0.raw"));
  StoreRecord device = example("/dev/vg/lv=0");
  device.identity = {.block_device = true,
                     .inode = 0,
                     .born = "",
                     .device = "dm:LVM-a=b",
                     .file_system = "",
                     .mount_point = "",
                     .mounted = ""};
  assert_true(records.keep(device).ok());
  assert_true(found(records, "/dev/vg/lv=0") == device);
}

void a_newer_record_takes_the_place_of_the_older(void**) {
  const Folder folder;
  const StoreRecords records{folder.path()};
  StoreRecord record = example("/srv/vol0.raw");
  assert_true(records.keep(record).ok());
  record.identity.inode = 4712;
  assert_true(records.keep(record).ok());
  assert_int_equal(found(records, "/srv/vol0.raw")->identity.inode, 4712);
  assert_int_equal(files_in(folder.path()), 1);  // nothing is left of the writing
}

void a_record_that_is_written_late_does_not(void**) {
  const Folder folder;
  const StoreRecords records{folder.path()};
  StoreRecord record = example("/srv/vol0.raw");
  const std::uint64_t before = next_turn();
  record.identity.inode = 4712;
  assert_true(records.keep(record).ok());
  record.identity.inode = 4711;
  assert_true(records.keep(record, before).ok());
  assert_int_equal(found(records, "/srv/vol0.raw")->identity.inode, 4712);
  assert_int_equal(files_in(folder.path()), 1);
}

void two_paths_with_one_base_name_have_two_records(void**) {
  const Folder folder;
  const StoreRecords records{folder.path()};
  assert_true(records.keep(example("/srv/a/vol.raw")).ok());
  assert_false(found(records, "/srv/b/vol.raw").has_value());
}

void one_path_written_in_two_ways_has_one_record(void**) {
  const Folder folder;
  const StoreRecords records{folder.path()};
  assert_true(records.keep(example(normal_path("/srv//x/../vol.raw"))).ok());
  assert_true(found(records, "/srv/./vol.raw").has_value());
}

void the_file_to_remove_needs_no_quotes(void**) {
  const std::string file = StoreRecords{"/r"}.file_of("/srv/a b;$(reboot)'.raw");
  assert_int_equal(file.find_first_not_of("/abcdefghijklmnopqrstuvwxyz0123456789._-"),
                   std::string::npos);
}

void a_damaged_record_is_not_no_record(void**) {
  const Folder folder;
  const StoreRecords records{folder.path()};
  assert_true(records.keep(example("/srv/vol0.raw")).ok());
  for (const char* text : {"", "path=/srv/other.raw\n", "path=/srv/vol0.raw\nsize=many\n"}) {
    std::ofstream{records.file_of("/srv/vol0.raw")} << text;
    assert_false(records.find("/srv/vol0.raw").ok());
  }
}

void a_folder_that_cannot_be_had_is_an_error(void**) {
  const Folder folder;
  std::ofstream{folder.file("file")};
  const StoreRecords records{folder.file("file")};
  assert_false(records.find("/srv/vol0.raw").ok());
  assert_false(records.keep(example("/srv/vol0.raw")).ok());
}

void lines_of_a_newer_version_are_passed_over(void**) {
  const Folder folder;
  const StoreRecords records{folder.path()};
  assert_true(records.keep(example("/srv/vol0.raw")).ok());
  std::ofstream{records.file_of("/srv/vol0.raw"), std::ios::app} << "# more\ncolour=blue\nnonsense";
  assert_true(found(records, "/srv/vol0.raw") == example("/srv/vol0.raw"));
}

// --- by what a store is known again
// ---------------------------------------------------------------

void a_file_is_known_by_inode_and_birth(void**) {
  const StoreIdentity then = example("/x").identity;
  StoreIdentity now = then;
  assert_false(is_another(then, now));
  now.mount_point = "/mnt";  // mounted elsewhere
  now.mounted = "/dev/sdc1";
  assert_false(is_another(then, now));
  now.born = "1700000001.000000000";  // the first file of a new file system has that inode, too
  assert_true(is_another(then, now));
  now = then;
  now.inode = 12;
  assert_true(is_another(then, now));
}

void what_is_not_known_differs_from_nothing(void**) {
  const StoreIdentity then = example("/x").identity;
  StoreIdentity now = then;
  now.born.clear();
  assert_false(is_another(then, now));
  now.file_system = "xfs";
  assert_true(is_another(then, now));
  assert_false(is_another(StoreIdentity{}, then));
}

void a_device_is_known_by_a_name_of_one_kind(void**) {
  StoreIdentity then;
  then.block_device = true;
  then.device = "wwid:naa.1";
  StoreIdentity now = then;
  assert_false(is_another(then, now));
  now.device = "wwid:naa.2";
  assert_true(is_another(then, now));
  now.device = "dm:mpath-1";
  assert_false(is_another(then, now));
  now.device.clear();
  assert_false(is_another(then, now));
  assert_true(is_another(then, example("/x").identity));
}

void a_real_file_has_an_identity_of_its_own(void**) {
  const Folder folder;
  std::ofstream{folder.file("a")};
  std::ofstream{folder.file("b")};
  const UniqueFd a{::open(folder.file("a").c_str(), O_RDONLY | O_CLOEXEC)};
  const UniqueFd b{::open(folder.file("b").c_str(), O_RDONLY | O_CLOEXEC)};
  const StoreIdentity one = identify(a.get());
  assert_true(one.inode != 0);
  assert_false(one.file_system.empty());
  assert_false(one.mount_point.empty());
  assert_false(is_another(one, identify(a.get())));
  assert_true(is_another(one, identify(b.get())));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_is_kept_is_found),
      cmocka_unit_test(a_newer_record_takes_the_place_of_the_older),
      cmocka_unit_test(a_record_that_is_written_late_does_not),
      cmocka_unit_test(two_paths_with_one_base_name_have_two_records),
      cmocka_unit_test(one_path_written_in_two_ways_has_one_record),
      cmocka_unit_test(the_file_to_remove_needs_no_quotes),
      cmocka_unit_test(a_damaged_record_is_not_no_record),
      cmocka_unit_test(a_folder_that_cannot_be_had_is_an_error),
      cmocka_unit_test(lines_of_a_newer_version_are_passed_over),
      cmocka_unit_test(a_file_is_known_by_inode_and_birth),
      cmocka_unit_test(what_is_not_known_differs_from_nothing),
      cmocka_unit_test(a_device_is_known_by_a_name_of_one_kind),
      cmocka_unit_test(a_real_file_has_an_identity_of_its_own),
  };
  return cmocka_run_group_tests_name("store_record", tests, nullptr, nullptr);
}
