// SPDX-License-Identifier: Apache-2.0
// An empty disk never takes the place of a known one, and no thread waits for a store that hangs.
#include "lib/backend/store_opener.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <thread>

#include "tests/unit/backend/lab.h"
#include "tests/unit/backend/loop_device.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::literals;
using namespace ballast::test;
using namespace std::chrono_literals;
using State = StoreOpener::State;

namespace {

constexpr Nanoseconds long_enough = 60s;

// A path and the records beside it.
struct Place {
  Place() = default;
  // An errand closes what was opened and not taken. The claim on it ends last, and is one on an
  // inode, which the file of the next test may get.
  ~Place() {
    for (const auto& entry : std::filesystem::directory_iterator{folder.path()}) {
      struct stat status {};
      if (::stat(entry.path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
        (void)eventually([&] { return StoreClaim::make(status).has_value(); });
      }
    }
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  Folder folder;
  std::string path = folder.file("vol");
  StoreRecords records{folder.file("records")};

  StoreOrder order(bool at_start = false) const {
    StoreOrder order;
    order.config = store_config(file_config(path));
    order.lun = "vol0";
    order.size = 1_MiB;
    order.logical_block = 512_B;
    order.at_start = at_start;
    order.records = folder.file("records");
    order.interval = 20ms;
    return order;
  }
  bool is_there() const { return ::access(path.c_str(), F_OK) == 0; }
  void make_file(const char* data) const {
    std::ofstream{path} << data;
    std::filesystem::resize_file(path, 1 << 20);
  }
  StoreRecord recorded() const { return records.find(path).value().value_or(StoreRecord{}); }
  std::string record_file() const { return records.file_of(path); }
  // Somebody made the LUN, and it was closed.
  void had_a_lun() const {
    StoreOpener opener{order()};
    assert_true(opener.wait(long_enough) == State::opened);
    const OpenFile file = opener.take();
    assert_true(eventually([this] { return records.find(path).value().has_value(); }));
  }
  static bool eventually(const std::function<bool()>& holds) {
    for (int i = 0; i < 3000; ++i) {
      if (holds()) {
        return true;
      }
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
};

void expect_in(const std::string& message, std::initializer_list<std::string> words) {
  for (const std::string& word : words) {
    if (message.find(word) == std::string::npos) {
      print_error("\"%s\" lacks \"%s\"\n", message.c_str(), word.c_str());
      assert_true(false);
    }
  }
}

std::string check_says(const StoreOrder& order) {
  const Result<void> checked = check(order, long_enough);
  return checked ? "fine" : checked.error().message;
}

// --- what is created
// ------------------------------------------------------------------------------

void who_makes_a_lun_gets_a_file_and_it_is_remembered(void**) {
  const Place place;
  assert_string_equal(check_says(place.order()).c_str(), "fine");
  assert_false(place.is_there());
  place.had_a_lun();
  assert_true(place.is_there());
  const StoreRecord record = place.recorded();
  assert_string_equal(record.lun.c_str(), "vol0");
  assert_true(record.size == 1_MiB);
  struct stat status {};
  assert_int_equal(::stat(place.path.c_str(), &status), 0);
  assert_int_equal(record.identity.inode, status.st_ino);
}

void nothing_is_created_when_the_daemon_starts(void**) {
  const Place place;
  StoreOpener opener{place.order(true)};
  assert_true(opener.wait(long_enough) == State::waiting);
  assert_false(place.is_there());
  expect_in(opener.error().message, {place.path + " is missing", "mount its file system",
                                     "truncate -s 1048576 " + place.path});
}

void nothing_is_created_that_a_saved_configuration_names(void**) {
  const Place place;
  StoreOrder order = place.order();
  order.is_saved = [](const std::string&) { return true; };
  StoreOpener opener{order};
  assert_true(opener.wait(long_enough) == State::refused);
  assert_false(place.is_there());
  expect_in(opener.error().message, {"is missing", "saved configuration"});
}

void nothing_is_created_where_a_lun_had_its_file(void**) {
  const Place place;
  place.had_a_lun();
  ::unlink(place.path.c_str());
  expect_in(check_says(place.order()),
            {place.path + " is missing", "LUN vol0 (1MiB)", "since 20",
             "mount its file system, or restore the file", "rm " + place.record_file()});
  StoreOrder other = place.order();
  other.lun = "vol1";
  StoreOpener opener{other};
  assert_true(opener.wait(long_enough) == State::refused);
  assert_false(place.is_there());
  ::unlink(place.record_file().c_str());
  place.had_a_lun();
}

void nothing_is_created_while_records_cannot_be_read(void**) {
  const Place place;
  std::ofstream{place.folder.file("records")};  // no folder
  StoreOpener opener{place.order()};
  assert_true(opener.wait(long_enough) == State::refused);
  assert_false(place.is_there());
  expect_in(opener.error().message, {"is missing", "records", "cannot be read"});
}

void what_is_there_is_served_without_records(void**) {
  const Place place;
  std::ofstream{place.folder.file("records")};
  place.make_file("data");
  StoreOpener opener{place.order(true)};
  assert_true(opener.wait(long_enough) == State::opened);
}

void no_file_is_created_among_devices(void**) {
  const Place place;
  StoreOrder order = place.order();
  order.config.file.path = "/dev/ballast-test-has-no-such-disk";
  expect_in(check_says(order), {"there is no device /dev/ballast-test", "attach it"});
}

// --- what is another
// ------------------------------------------------------------------------------

void an_empty_file_in_its_place_is_not_taken(void**) {
  const Place place;
  place.had_a_lun();
  ::rename(place.path.c_str(), place.folder.file("aside").c_str());
  place.make_file("");
  StoreOpener opener{place.order()};
  assert_true(opener.wait(long_enough) == State::waiting);
  expect_in(opener.error().message,
            {"is another file, which holds no data", "rm " + place.record_file()});
  assert_int_equal(opener.error().errno_value, ENOENT);
  // The right one is back.
  ::rename(place.folder.file("aside").c_str(), place.path.c_str());
  assert_true(Place::eventually([&] { return opener.state() == State::opened; }));
}

void a_restored_file_is_taken_and_remembered_instead(void**) {
  const Place place;
  place.had_a_lun();
  ::rename(place.path.c_str(), place.folder.file("aside").c_str());
  place.make_file("out of the backup");
  struct stat status {};
  assert_int_equal(::stat(place.path.c_str(), &status), 0);
  StoreOpener opener{place.order(true)};
  assert_true(opener.wait(long_enough) == State::opened);
  assert_true(Place::eventually([&] { return place.recorded().identity.inode == status.st_ino; }));
}

void another_disk_under_the_same_name_is_not_taken(void**) {
  const LoopDevice one{1_MiB};
  const LoopDevice two{1_MiB};
  if (one.path().empty() || two.path().empty()) {
    skip();
  }
  const Place place;
  std::filesystem::create_symlink(one.path(), place.path);
  place.had_a_lun();
  ::unlink(place.path.c_str());
  expect_in(check_says(place.order()), {"is missing", "had a device", "attach it"});
  std::filesystem::create_symlink(two.path(), place.path);
  expect_in(check_says(place.order()),
            {"is the device loop:", "had a device", "(loop:", "rm " + place.record_file()});
  StoreOpener opener{place.order(true)};
  assert_true(opener.wait(long_enough) == State::waiting);
}

// --- who is waited for
// ----------------------------------------------------------------------------

void a_lun_waits_for_its_store_when_the_daemon_starts(void**) {
  const Place place;
  StoreOpener opener{place.order(true)};
  assert_true(opener.wait(long_enough) == State::waiting);
  place.make_file("data");
  assert_true(Place::eventually([&] { return opener.state() == State::opened; }));
  const OpenFile file = opener.take();
  assert_true(file.fd.get() >= 0);
}

void a_known_lun_waits_and_a_new_one_is_refused(void**) {
  const Place place;
  place.had_a_lun();
  StoreOpener first{place.order()};
  assert_true(first.wait(long_enough) == State::opened);
  OpenFile file = first.take();
  StoreOrder other = place.order();
  other.lun = "vol1";
  StoreOpener somebody_else{other};
  assert_true(somebody_else.wait(long_enough) == State::refused);
  StoreOpener itself{place.order()};
  assert_true(itself.wait(long_enough) == State::waiting);
  assert_int_equal(itself.error().errno_value, EBUSY);
  file = OpenFile{};
  assert_true(Place::eventually([&] { return itself.state() == State::opened; }));
}

void what_does_not_fit_is_refused_and_not_waited_for(void**) {
  const LoopDevice device{1_MiB, 4096};
  if (device.path().empty()) {
    skip();
  }
  const Place place;
  StoreOrder order = place.order();
  order.config = store_config(file_config(device.path(), CacheMode::direct));
  StoreOpener opener{order};
  assert_true(opener.wait(long_enough) == State::refused);
  assert_int_equal(opener.error().errno_value, EINVAL);
}

void a_store_without_locks_has_one_user_in_this_process(void**) {
  const Place place;
  place.make_file("data");
  struct stat status {};
  assert_int_equal(::stat(place.path.c_str(), &status), 0);
  // As what is left of a departed LUN has it.
  std::optional<StoreClaim> claim = StoreClaim::make(status);
  assert_true(claim.has_value());
  assert_false(StoreClaim::make(status).has_value());
  StoreOpener opener{place.order(true)};
  assert_true(opener.wait(long_enough) == State::waiting);
  expect_in(opener.error().message, {"last operations"});
  claim->release();
  assert_true(Place::eventually([&] { return opener.state() == State::opened; }));
}

// --- what hangs
// -----------------------------------------------------------------------------------

// Keeps whoever opens the store, as a frozen file system does.
class Hang {
 public:
  std::function<bool(const std::string&)> asked() {
    return [shared = shared_](const std::string&) {
      std::unique_lock lock{shared->mutex};
      shared->changed.wait(lock, [&] { return shared->over; });
      return false;
    };
  }
  void end() {
    const std::lock_guard lock{shared_->mutex};
    shared_->over = true;
    shared_->changed.notify_all();
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    bool over = false;
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

void a_store_that_hangs_is_open_when_it_does_not_any_more(void**) {
  const Place place;
  Hang hang;
  StoreOrder order = place.order();
  order.is_saved = hang.asked();
  StoreOpener opener{order};
  assert_true(opener.wait(10ms) == State::trying);
  hang.end();
  assert_true(opener.wait(long_enough) == State::opened);
}

void who_asks_is_told_that_it_hangs(void**) {
  const Place place;
  Hang hang;
  StoreOrder order = place.order();
  order.is_saved = hang.asked();
  const Result<void> checked = check(order, 10ms);
  hang.end();
  assert_int_equal(checked.error().errno_value, ETIMEDOUT);
  expect_in(checked.error().message, {place.path, "does not answer within 10ms", "hangs"});
}

void what_is_opened_for_nobody_is_closed(void**) {
  const Place place;
  place.make_file("data");
  ::chmod(place.path.c_str(), 0600);
  Hang hang;
  StoreOrder order = place.order();
  order.is_saved = hang.asked();
  { const StoreOpener nobody_wants_it{order}; }
  hang.end();
  // Its errand comes home, and the file has no owner.
  StoreOpener opener{place.order(true)};
  (void)opener.wait(long_enough);
  assert_true(Place::eventually([&] { return opener.state() == State::opened; }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(who_makes_a_lun_gets_a_file_and_it_is_remembered),
      cmocka_unit_test(nothing_is_created_when_the_daemon_starts),
      cmocka_unit_test(nothing_is_created_that_a_saved_configuration_names),
      cmocka_unit_test(nothing_is_created_where_a_lun_had_its_file),
      cmocka_unit_test(nothing_is_created_while_records_cannot_be_read),
      cmocka_unit_test(what_is_there_is_served_without_records),
      cmocka_unit_test(no_file_is_created_among_devices),
      cmocka_unit_test(an_empty_file_in_its_place_is_not_taken),
      cmocka_unit_test(a_restored_file_is_taken_and_remembered_instead),
      cmocka_unit_test(another_disk_under_the_same_name_is_not_taken),
      cmocka_unit_test(a_lun_waits_for_its_store_when_the_daemon_starts),
      cmocka_unit_test(a_known_lun_waits_and_a_new_one_is_refused),
      cmocka_unit_test(what_does_not_fit_is_refused_and_not_waited_for),
      cmocka_unit_test(a_store_without_locks_has_one_user_in_this_process),
      cmocka_unit_test(a_store_that_hangs_is_open_when_it_does_not_any_more),
      cmocka_unit_test(who_asks_is_told_that_it_hangs),
      cmocka_unit_test(what_is_opened_for_nobody_is_closed),
  };
  return cmocka_run_group_tests_name("store_opener", tests, nullptr, nullptr);
}
