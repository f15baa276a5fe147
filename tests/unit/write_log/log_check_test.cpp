// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/log_check.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "lib/backend/file_label.h"
#include "lib/base/log.h"
#include "lib/write_log/format.h"

// after the others
#include "tests/cmocka.h"
#include "tests/unit/backend/put_label.h"

using namespace ballast;
using namespace ballast::write_log;

namespace {

void no_log(LogLevel, std::string_view) {}

// A store, and a place for its log, on a file system on a disk.
class Place {
 public:
  Place() {
    std::string name = "/var/tmp/ballast-log-check-XXXXXX";
    BALLAST_ASSERT(::mkdtemp(name.data()) != nullptr);
    folder_ = name;
    std::ofstream{file("store")} << std::string(4096, '\0');
    order.config.kind = backend::find_kind("file");
    order.config.file.path = file("store");
    log.path = file("log");
  }
  ~Place() { std::filesystem::remove_all(folder_); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  std::string file(const char* name) const { return folder_ + "/" + name; }

  // A file that begins with a log that was opened `incarnation` times.
  void put_log(std::uint8_t name, std::uint64_t incarnation) const {
    Superblock superblock;
    superblock.log[0] = name;
    superblock.incarnation = incarnation;
    superblock.tail = {.sequence = 1, .offset = ring_begin, .link = 0};
    superblock.host = "gateway1";
    superblock.store_name = "file=/srv/vol7.raw";
    std::array<std::byte, page> bytes{};
    encode(superblock, bytes);
    std::ofstream{log.path, std::ios::binary}.write(reinterpret_cast<const char*>(bytes.data()),
                                                    bytes.size());
  }
  // False: the file system has no extended attributes.
  bool put_label(std::uint8_t name) const {
    backend::Label label;
    label.store[0] = 1;
    label.log[0] = name;
    label.host = "gateway1";
    label.path = "/fast/vol7.log";
    return test::put_label(file("store"), Bytes{4096}, label);
  }
  void assert_refused(int errno_value, const char* why) const {
    const Result<void> checked = check_log(order, log);
    assert_false(checked.ok());
    if (std::strstr(checked.error().message.c_str(), why) == nullptr) {
      std::fprintf(stderr, "%s\n", checked.error().message.c_str());
    }
    assert_non_null(std::strstr(checked.error().message.c_str(), why));
    assert_int_equal(checked.error().errno_value, errno_value);
  }

  backend::StoreOrder order;
  LogConfig log;

 private:
  std::string folder_;
};

void a_log_that_does_not_exist_can_be_made(void**) {
  const Place place;
  assert_true(check_log(place.order, place.log).ok());
  assert_false(std::filesystem::exists(place.log.path));
}

void a_log_in_memory_is_refused(void**) {
  Place place;
  place.log.path = "/dev/shm/ballast-log-check";
  place.assert_refused(EINVAL, "would be in memory");
}

void a_folder_that_is_missing_is_named(void**) {
  Place place;
  place.log.path = place.file("nowhere/log");
  place.assert_refused(ENOENT, "its folder is not there");
}

void a_log_without_room_is_refused(void**) {
  Place place;
  place.log.size = Bytes{std::uint64_t{1} << 60};
  place.assert_refused(ENOSPC, "log_size is");
}

void a_log_that_another_store_uses_is_refused(void**) {
  const Place place;
  place.put_log(3, 5);
  place.assert_refused(EEXIST, "of the store file=/srv/vol7.raw on gateway1");
}

void a_log_whose_making_was_cut_off_may_be_made_again(void**) {
  const Place place;
  place.put_log(3, 0);
  assert_true(check_log(place.order, place.log).ok());
}

void a_store_needs_the_log_that_its_label_names(void**) {
  const Place place;
  if (!place.put_label(4)) {
    skip();
  }
  place.assert_refused(ENOENT, "it was /fast/vol7.log on gateway1");
  place.put_log(3, 5);
  place.assert_refused(EINVAL, "that one was /fast/vol7.log on gateway1");
  place.put_log(4, 5);
  assert_true(check_log(place.order, place.log).ok());
}

}  // namespace

int main() {
  set_log_sink(&no_log);
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_log_that_does_not_exist_can_be_made),
      cmocka_unit_test(a_log_in_memory_is_refused),
      cmocka_unit_test(a_folder_that_is_missing_is_named),
      cmocka_unit_test(a_log_without_room_is_refused),
      cmocka_unit_test(a_log_that_another_store_uses_is_refused),
      cmocka_unit_test(a_log_whose_making_was_cut_off_may_be_made_again),
      cmocka_unit_test(a_store_needs_the_log_that_its_label_names),
  };
  return cmocka_run_group_tests_name("log_check", tests, nullptr, nullptr);
}
