// SPDX-License-Identifier: Apache-2.0
// The built plugin, and stores that are missing, belong to other users, or hang while LUNs are
// opened and closed.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/ring/support.h"

#include "tests/cmocka.h"

using namespace ballast::ring_test;
using namespace std::chrono_literals;

namespace {

constexpr unsigned busy = 0x08;
constexpr unsigned good = 0x00;

LunOptions as(const char* name, bool at_start) {
  LunOptions options;
  options.name = name;
  options.at_start = at_start;
  return options;
}

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

bool has_record(const char* of) {
  for (const auto& entry : std::filesystem::directory_iterator{records_folder()}) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(of) && name.find(".new") == std::string::npos) {
      return true;
    }
  }
  return false;
}

// Whether the file with what initiators have set on this LUN has this text.
bool keeps(const char* lun, const char* text) {
  std::ifstream file{records_folder() + "/modes/" + lun};
  const std::string all{std::istreambuf_iterator<char>{file}, {}};
  return all.find(text) != std::string::npos;
}

std::vector<std::byte> bytes_of(std::size_t count) {
  return std::vector<std::byte>(count, std::byte{0x5a});
}

// A slow machine may not have opened its file yet when the LUN is there.
std::unique_ptr<Lun> add_ready(const std::string& config, const LunOptions& options) {
  std::unique_ptr<Lun> lun = Lun::add(config, options);
  assert_non_null(lun.get());
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  return lun;
}

// A LUN with data, which was then closed, as when the daemon stops.
void a_lun_had(const std::string& path, const char* name) {
  const auto lun = add_ready("file=" + path, as(name, false));
  std::vector<std::byte> data = bytes_of(4096);
  assert_int_equal(lun->execute(write_16(0, 8), Direction::to_device, data).status, good);
  assert_true(lun->remove());
  const std::string file = path.substr(path.rfind('/') + 1);
  assert_true(eventually([&] { return has_record(file.c_str()); }));
}

void expect_data(Lun& lun) {
  std::vector<std::byte> back(4096);
  assert_int_equal(lun.execute(read_16(0, 8), Direction::from_device, back).status, good);
  assert_true(back == bytes_of(4096));
}

void a_file_that_is_away_when_the_daemon_starts_is_waited_for(void**) {
  const Folder folder{"/dev/shm"};
  const std::string path = folder.file("away.raw");
  a_lun_had(path, "away");
  std::filesystem::rename(path, path + ".aside");
  (void)take_log();
  const auto lun = Lun::add("file=" + path, as("away", true));
  assert_non_null(lun.get());
  std::vector<std::byte> data = bytes_of(4096);
  assert_int_equal(lun->execute(write_16(0, 8), Direction::to_device, data).status, busy);
  assert_false(is_there(path));
  const std::string log = take_log();
  assert_non_null(std::strstr(log.c_str(), "becoming ready"));
  assert_non_null(std::strstr(log.c_str(), "is missing"));
  std::filesystem::rename(path + ".aside", path);
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  expect_data(*lun);
}

// Initiators tell disks apart by what is made of the serial.
void two_luns_with_one_serial_are_told_of(void**) {
  const auto add = [](const char* name, const char* serial) {
    LunOptions options = as(name, false);
    options.unit_serial = serial;
    auto lun = Lun::add("memory", options);
    assert_int_equal(lun->execute(test_unit_ready()).status, good);
    return lun;
  };
  (void)take_log();
  const auto first = add("first", "11111111-0000-4000-8000-000000000000");
  const auto other = add("other", "22222222-0000-4000-8000-000000000000");
  std::string log;
  {
    const auto twin = add("twin", "11111111-0000-4000-8000-000000000000");
    assert_true(eventually([&] {
      log += take_log();
      return log.find("twin: has the same name for initiators as LUN first, naa.") !=
             std::string::npos;
    }));
  }
  assert_null(std::strstr(log.c_str(), "LUN other"));
  assert_null(std::strstr(log.c_str(), "other: has the same name"));
}

// A restored configuration: the main loop runs.
void a_restored_lun_waits_for_its_file_too(void**) {
  const Folder folder{"/dev/shm"};
  const std::string path = folder.file("restored.raw");
  a_lun_had(path, "restored");
  std::filesystem::rename(path, path + ".aside");
  const auto lun = Lun::add("file=" + path, as("restored", false));
  assert_non_null(lun.get());
  assert_int_equal(lun->execute(read_16(0, 8)).status, busy);
  assert_false(is_there(path));
  std::filesystem::rename(path + ".aside", path);
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  expect_data(*lun);
}

// A scan waits for each LUN's INQUIRY in turn, the other LUNs of the session with it.
void a_lun_that_is_becoming_ready_says_who_it_is_and_the_same_later(void**) {
  const Folder folder{"/dev/shm"};
  const std::string path = folder.file("scanned.raw");
  a_lun_had(path, "scanned");
  std::filesystem::rename(path, path + ".aside");
  const auto lun = Lun::add("file=" + path, as("scanned", true));
  assert_non_null(lun.get());
  const std::vector<Cdb> asked{inquiry(255),
                               inquiry_page(0x00, 255),
                               inquiry_page(0x80, 255),
                               inquiry_page(0x83, 255),
                               inquiry_page(0xb0, 255),
                               inquiry_page(0xb1, 255),
                               inquiry_page(0xb2, 255)};
  std::vector<std::vector<std::byte>> early;
  for (const Cdb& cdb : asked) {
    early.emplace_back(255);
    const Answer answer = lun->execute(cdb, Direction::from_device, early.back());
    assert_int_equal(answer.status, good);
    assert_true(answer.transferred > 4);
  }
  std::vector<std::byte> data(255);
  std::filesystem::rename(path + ".aside", path);
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  for (std::size_t i = 0; i < asked.size(); ++i) {
    std::fill(data.begin(), data.end(), std::byte{});
    assert_int_equal(lun->execute(asked[i], Direction::from_device, data).status, good);
    assert_true(data == early[i]);
  }
}

// Linux asks a disk that it has found whether it is ready, again and again. BUSY it would repeat
// before anything else for the disk: REPORT LUNS among it, and with it the scan of all LUNs.
void a_lun_that_is_becoming_ready_says_so_to_those_who_ask(void**) {
  const Folder folder{"/dev/shm"};
  const std::string path = folder.file("asked.raw");
  a_lun_had(path, "asked");
  std::filesystem::rename(path, path + ".aside");
  const auto lun = Lun::add("file=" + path, as("asked", true));
  assert_non_null(lun.get());
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).becoming_ready(); }));
  assert_true(lun->execute(start_unit()).becoming_ready());
  std::filesystem::rename(path + ".aside", path);
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
}

void who_makes_a_lun_where_another_had_its_file_is_told(void**) {
  const Folder folder{"/dev/shm"};
  const std::string path = folder.file("known.raw");
  assert_string_equal(check_config("ballast/file=" + path).c_str(), "");
  a_lun_had(path, "known");
  std::filesystem::remove(path);
  const std::string said = check_config("ballast/file=" + path);
  assert_non_null(std::strstr(said.c_str(), "is missing, but LUN known"));
  assert_non_null(std::strstr(said.c_str(), ("rm " + records_folder()).c_str()));
  assert_null(Lun::add("file=" + path, as("new", false)).get());
  assert_false(is_there(path));
}

void a_lun_that_never_became_ready_is_closed_at_once_and_wants_nothing_later(void**) {
  const Folder folder{"/dev/shm"};
  const std::string path = folder.file("never.raw");
  const auto begin = std::chrono::steady_clock::now();
  const auto lun = Lun::add("file=" + path, as("never", true));
  assert_non_null(lun.get());
  assert_true(lun->remove());
  assert_true(std::chrono::steady_clock::now() - begin < 20s);
  std::ofstream{path};
  std::filesystem::resize_file(path, 64 << 20);
  assert_true(eventually([&] { return check_config("ballast/file=" + path).empty(); }));
}

bool has_write_cache(Lun& lun) {
  const std::vector<std::byte> page = caching_page(lun);
  assert_false(page.empty());
  return (page[6] & std::byte{0x04}) != std::byte{0};
}

void a_write_cache_that_was_turned_off_stays_off_when_the_daemon_starts_again(void**) {
  const Folder folder{"/var/tmp"};
  const std::string config = "file=" + folder.file("vol0.raw");
  auto lun = add_ready(config, as("modes", false));
  assert_true(has_write_cache(*lun));
  std::vector<std::byte> off = caching_page(*lun);
  off[6] &= std::byte{0xfb};
  assert_int_equal(mode_select(*lun, off).status, good);
  // The LUN does not wait long for the folder that keeps it.
  assert_true(eventually([] { return keeps("modes", "write_cache=0"); }));
  assert_true(lun->remove());
  for (const bool at_start : {true, false}) {
    lun = add_ready(config, as("modes", at_start));
    assert_false(has_write_cache(*lun));
    assert_true(lun->remove());
  }
  lun = add_ready("file=" + folder.file("vol1.raw"), as("modes", false));
  assert_true(has_write_cache(*lun));  // another store
  assert_true(lun->remove());
}

void luns_on_frozen_storage_are_closed_in_the_time_of_one(void**) {
  constexpr std::size_t count = 5;
  const Folder folder{"/dev/shm"};
  const std::string rules = folder.file("faults");
  std::ofstream{rules} << "write freeze stubborn\n";
  std::vector<std::unique_ptr<Lun>> luns;
  std::vector<std::byte> data = bytes_of(4096);
  Countdown answers{count};
  for (std::size_t i = 0; i < count; ++i) {
    const std::string path = folder.file(("vol" + std::to_string(i)).c_str());
    luns.push_back(add_ready("file=" + path + ";fault=" + rules, {}));
    assert_true(luns.back()->submit(write_16(0, 8), Direction::to_device, data, answers.done()));
    assert_int_equal(luns.back()->execute(test_unit_ready()).status, good);
  }
  const auto begin = std::chrono::steady_clock::now();
  for (const std::unique_ptr<Lun>& lun : luns) {
    assert_true(lun->remove());
  }
  // Each by itself would take six seconds.
  assert_true(std::chrono::steady_clock::now() - begin < 18s);
  assert_true(answers.wait());
  luns.clear();
  std::ofstream{rules} << "";
  // Nobody holds the files once the storage lets go.
  assert_true(
      eventually([&] { return check_config("ballast/file=" + folder.file("vol0")).empty(); }));
}

}  // namespace

int main() {
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_file_that_is_away_when_the_daemon_starts_is_waited_for),
      cmocka_unit_test(two_luns_with_one_serial_are_told_of),
      cmocka_unit_test(a_restored_lun_waits_for_its_file_too),
      cmocka_unit_test(a_lun_that_is_becoming_ready_says_who_it_is_and_the_same_later),
      cmocka_unit_test(a_lun_that_is_becoming_ready_says_so_to_those_who_ask),
      cmocka_unit_test(who_makes_a_lun_where_another_had_its_file_is_told),
      cmocka_unit_test(a_lun_that_never_became_ready_is_closed_at_once_and_wants_nothing_later),
      cmocka_unit_test(a_write_cache_that_was_turned_off_stays_off_when_the_daemon_starts_again),
      cmocka_unit_test(luns_on_frozen_storage_are_closed_in_the_time_of_one),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
