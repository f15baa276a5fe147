// SPDX-License-Identifier: Apache-2.0
// The built plugin, and a LUN whose executor is held up, as by a bug of Ballast.
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/ring/support.h"

#include "tests/cmocka.h"

using namespace ballast::ring_test;
using namespace std::chrono_literals;

namespace {

constexpr unsigned good = 0x00;

void a_lun_that_is_held_up_is_logged_and_so_is_its_going_on(void**) {
  const Folder folder{"/dev/shm"};
  std::ofstream{folder.file("faults")} << "read block=15s first=1\n";
  LunOptions options;
  options.name = "held";
  const auto held =
      Lun::add("file=" + folder.file("held.raw") + ";fault=" + folder.file("faults"), options);
  options.name = "healthy";
  options.unit_serial = "another";
  const auto healthy = Lun::add("file=" + folder.file("healthy.raw"), options);
  assert_non_null(held.get());
  assert_non_null(healthy.get());
  (void)take_log();
  std::vector<std::byte> data(4096);
  std::vector<std::byte> other(4096);
  Countdown answers{1};
  assert_true(held->submit(read_16(0, 8), Direction::from_device, data, answers.done()));
  std::string log;
  assert_true(log_says(log, {"held: stuck: thread ", "in the coroutine \"command\""}));
  assert_null(std::strstr(log.c_str(), "goes on: it was stuck"));
  assert_int_equal(healthy->execute(read_16(0, 8), Direction::from_device, other).status, good);
  assert_true(log_says(log, {"held: thread ", " goes on: it was stuck for "}));
  assert_true(answers.wait());
  assert_int_equal(answers.good(), 1);
  assert_null(std::strstr(log.c_str(), "healthy: stuck"));
  const char* const first = std::strstr(log.c_str(), "held: stuck");
  assert_null(std::strstr(first + 1, "held: stuck"));  // once
}

// The daemon's main thread waits for a change, and serves all LUNs.
void changes_of_a_lun_that_is_held_up_are_given_up_and_made_later(void**) {
  constexpr std::uint64_t larger = std::uint64_t{128} << 20;
  const Folder folder{"/dev/shm"};
  std::ofstream{folder.file("faults")} << "read block=25s first=1\n";
  const std::string config =
      "file=" + folder.file("changed.raw") + ";fault=" + folder.file("faults");
  LunOptions options;
  options.name = "changed";
  const auto lun = Lun::add(config, options);
  assert_non_null(lun.get());
  std::vector<std::byte> data(4096);
  Countdown answers{1};
  assert_true(lun->submit(read_16(0, 8), Direction::from_device, data, answers.done()));
  std::this_thread::sleep_for(2s);
  (void)take_log();
  int changed = 0;
  std::thread other{[&] { changed = lun->reconfigure_string(config + ";slow=2s"); }};
  assert_int_equal(lun->reconfigure_size(larger), -ETIMEDOUT);
  other.join();
  assert_int_equal(changed, -ETIMEDOUT);
  const std::string log = take_log();
  assert_non_null(std::strstr(log.c_str(), "changed: the resize to 134217728 bytes has not ended"));
  assert_non_null(std::strstr(log.c_str(), ";slow=2s\" has not been made after 10s"));
  assert_true(answers.wait());
  std::vector<std::byte> capacity(32);
  assert_true(eventually([&] {
    Cdb cdb = cdb_16(0x9e, 0, 0, 0x10);  // READ CAPACITY (16)
    cdb.bytes[13] = 32;
    return lun->execute(cdb, Direction::from_device, capacity).status == good &&
           capacity[5] == std::byte{0x03};  // the last block: 0x3ffff
  }));
}

}  // namespace

int main() {
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_lun_that_is_held_up_is_logged_and_so_is_its_going_on),
      cmocka_unit_test(changes_of_a_lun_that_is_held_up_are_given_up_and_made_later),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
