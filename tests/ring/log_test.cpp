// SPDX-License-Identifier: Apache-2.0
// The built plugin with a write log in front of a store that hangs, fails or is opened without it.
#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/ring/support.h"
#include "tests/unit/backend/loop_device.h"

#include "tests/cmocka.h"

using namespace ballast::ring_test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kib = 1024;
constexpr unsigned good = 0x00;
constexpr const char* on_disk = "/var/tmp";
// The log's own disk is a real one, which other programs use, too.
constexpr const char* patient = ";deadline=4s;slow=100ms;stall_after=300ms";
constexpr std::array<std::uint8_t, 10> synchronize_cache{0x35};

// A store that obeys a control file, and a log beside it. Both are on a file system on a disk: the
// log needs O_DIRECT, and a label needs extended attributes.
class Logged {
 public:
  Logged() : folder_{on_disk} {}
  std::string file(const char* name) const { return folder_.file(name); }
  std::string config(const std::string& keys = patient) const {
    return store(keys) + ";log=" + file("vol.log") + ";log_size=256MiB";
  }
  std::string store(const std::string& keys = patient) const {
    return "file=" + file("vol.raw") + keys + ";fault=" + file("faults");
  }
  void rules(const char* text) { std::ofstream{file("faults")} << text; }

 private:
  Folder folder_;
};

// A LUN whose log has been made.
std::unique_ptr<Lun> ready(const std::string& config, const LunOptions& options = {}) {
  std::unique_ptr<Lun> lun = Lun::add(config, options);
  if (lun == nullptr) {
    std::fprintf(stderr, "%s\n", take_log().c_str());
  }
  assert_non_null(lun.get());
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  return lun;
}

void write(Lun& lun, std::uint64_t lba, unsigned start) {
  std::vector<std::byte> data = bytes_of(4 * kib, start);
  assert_int_equal(lun.execute(write_16(lba, 8), Direction::to_device, data).status, good);
}
bool reads(Lun& lun, std::uint64_t lba, unsigned start) {
  std::vector<std::byte> back(4 * kib);
  return lun.execute(read_16(lba, 8), Direction::from_device, back).status == good &&
         back == bytes_of(4 * kib, start);
}

void a_frozen_store_is_not_noticed_by_writers(void**) {
  Logged storage;
  const auto lun = ready(storage.config());
  write(*lun, 1000, 9);
  std::this_thread::sleep_for(3s);  // it gets to the store
  storage.rules("all freeze\n");
  std::this_thread::sleep_for(100ms);
  const auto end = std::chrono::steady_clock::now() + 3s;
  unsigned writes = 0;
  for (; writes <= 100 || std::chrono::steady_clock::now() < end; ++writes) {
    write(*lun, writes % 64 * 8, writes);
    if (writes % 16 == 0) {
      assert_int_equal(lun->execute(synchronize_cache).status, good);
      assert_true(reads(*lun, writes % 64 * 8, writes));
    }
    std::this_thread::sleep_for(1ms);  // a fast disk would fill the log
  }
  std::vector<std::byte> back(4 * kib);
  // Nobody has written that, so only the store has it.
  assert_int_equal(lun->execute(read_16(5000, 8), Direction::from_device, back).status, 0x08);
  write(*lun, 0, 77);
  storage.rules("");
  assert_true(eventually([&] { return reads(*lun, 1000, 9); }));
  assert_true(reads(*lun, 0, 77));
}

void what_the_log_has_is_there_when_the_lun_is_made_anew(void**) {
  Logged storage;
  storage.rules("write freeze\n");
  {
    const auto lun = ready(storage.config());
    for (unsigned i = 0; i < 200; ++i) {
      write(*lun, i * 8, i);
    }
    assert_true(lun->remove());
  }
  storage.rules("");
  const auto lun = ready(storage.config());
  for (unsigned i = 0; i < 200; ++i) {
    assert_true(reads(*lun, i * 8, i));
  }
}

void a_store_is_not_opened_without_its_log(void**) {
  Logged storage;
  {
    const auto lun = ready(storage.config());
    write(*lun, 0, 5);
  }
  assert_null(Lun::add(storage.store()).get());
  const std::string why = take_log();
  assert_non_null(std::strstr(why.c_str(), "vol.log"));
  const auto lun = ready(storage.config());
  assert_true(reads(*lun, 0, 5));
}

// The log is looked at after the LUN was made, so the LUN is there, and of no use.
void assert_refused(const std::string& config, const char* why) {
  (void)take_log();
  const auto lun = Lun::add(config);
  assert_non_null(lun.get());
  std::string said;
  assert_true(log_says(said, {"cannot be opened"}));
  if (std::strstr(said.c_str(), why) == nullptr) {
    std::fprintf(stderr, "%s\n", said.c_str());
    assert_true(false);
  }
  assert_true(lun->execute(test_unit_ready()).refused_for_good());
}

// The label of the log is behind the LUN's end, where data comes.
void a_lun_on_a_device_grows_with_its_log(void**) {
  constexpr std::uint64_t mib = 1 << 20;
  const ballast::test::LoopDevice device{ballast::Bytes{128 * mib}};
  if (device.path().empty()) {
    print_message("skip: %s\n", device.why().c_str());
    skip();
  }
  Logged storage;
  const std::string log = ";log=" + storage.file("vol.log") + ";log_size=256MiB";
  const std::string config = "file=" + device.path() + patient;
  LunOptions options;
  const std::uint64_t old_end = options.size / 512;
  {
    const auto lun = ready(config + log, options);
    write(*lun, old_end - 8, 1);
    assert_int_not_equal(lun->reconfigure_size(128 * mib), 0);
    assert_int_equal(lun->reconfigure_size(96 * mib), 0);
    assert_int_equal(lun->execute(test_unit_ready()).status, 0x02);  // CAPACITY DATA HAS CHANGED
    write(*lun, old_end, 2);
    write(*lun, 96 * mib / 512 - 8, 3);
    assert_true(lun->remove());
  }
  for (const std::uint64_t size : {96 * mib, options.size, 96 * mib}) {
    options.size = size;
    assert_null(Lun::add(config, options).get());
    const auto lun = ready(config + log, options);
    assert_true(reads(*lun, old_end - 8, 1));
    if (size > old_end * 512) {
      assert_true(reads(*lun, old_end, 2));
      assert_true(reads(*lun, size / 512 - 8, 3));
    }
    std::this_thread::sleep_for(3s);  // it gets to the store
    assert_true(lun->remove());
  }
}

void another_luns_log_is_refused(void**) {
  Logged storage;
  Logged other;
  {
    const auto lun = ready(storage.config());
    const auto second = ready(other.config());
    write(*lun, 0, 5);
  }
  assert_refused(storage.store() + ";log=" + other.file("vol.log") + ";log_size=256MiB",
                 "names another log than this one");
  const auto lun = ready(storage.config());
  assert_true(reads(*lun, 0, 5));
}

void a_log_of_another_size_is_refused(void**) {
  Logged storage;
  const std::string config = storage.store() + ";log=" + storage.file("vol.log");
  (void)ready(config + ";log_size=260MiB");
  assert_refused(config + ";log_size=256MiB", "set log_size=260MiB");
}

void a_log_goes_over_nobodys_data(void**) {
  Logged storage;
  {
    std::ofstream there{storage.file("vol.log")};
    there << std::string(300 << 20, 'x');
  }
  assert_refused(storage.config(), "it has data in its first MiB");
  std::ifstream back{storage.file("vol.log")};
  assert_int_equal(back.get(), 'x');
}

void random_commands_are_carried_out(void**) {
  Logged storage;
  const auto lun = ready(storage.config(""));
  const LoadResult result = random_load(*lun, 20'000, 32, 512, seed());
  assert_int_equal(result.failed, 0);
  assert_int_equal(result.mismatches, 0);
}

}  // namespace

int main() {
  if (!has_direct_io(on_disk) || !has_attributes(on_disk)) {
    std::printf("%s has no O_DIRECT or no extended attributes\n", on_disk);
    return 77;
  }
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_frozen_store_is_not_noticed_by_writers),
      cmocka_unit_test(what_the_log_has_is_there_when_the_lun_is_made_anew),
      cmocka_unit_test(a_store_is_not_opened_without_its_log),
      cmocka_unit_test(a_lun_on_a_device_grows_with_its_log),
      cmocka_unit_test(another_luns_log_is_refused),
      cmocka_unit_test(a_log_of_another_size_is_refused),
      cmocka_unit_test(a_log_goes_over_nobodys_data),
      cmocka_unit_test(random_commands_are_carried_out),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
