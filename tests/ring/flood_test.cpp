// SPDX-License-Identifier: Apache-2.0
// The built plugin, and an initiator that sends as much as it can to do harm: neither the log nor
// the memory of the daemon may grow with it.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include "tests/ring/support.h"
#include "tests/sanitizers.h"

#include "tests/cmocka.h"

using namespace ballast::ring_test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

std::size_t occurrences(std::string_view text, std::string_view of) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(of, at)) != std::string_view::npos; at += of.size()) {
    ++count;
  }
  return count;
}

void abort_last(Lun& lun) {
  const std::uint16_t id = lun.id_of_last_command();
  lun.queue_task_management(std::span{&id, 1});
  lun.raise();
  assert_int_equal(lun.execute(test_unit_ready()).status, 0);
}

void aborts_are_at_most_a_line_a_second(void**) {
  const auto lun = Lun::add("memory");
  (void)take_log();
  const auto begin = Clock::now();
  for (unsigned i = 0; i < 500; ++i) {
    abort_last(*lun);
  }
  std::this_thread::sleep_for(1100ms);
  abort_last(*lun);
  std::string log;
  assert_true(eventually([&] {
    log += take_log();
    return log.find(" lines like it were left out)") != std::string::npos;
  }));
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(Clock::now() - begin).count();
  assert_in_range(occurrences(log, "task management"), 2, 1 + seconds);
}

#ifndef BALLAST_SANITIZED
std::size_t resident_bytes() {
  std::size_t size = 0;
  std::size_t pages = 0;
  std::ifstream{"/proc/self/statm"} >> size >> pages;
  return pages * 4096;
}

// Commands that need no data, so that nothing but the command window limits them.
class Flood {
 public:
  explicit Flood(Lun& lun) : lun_{lun} {}

  void send(std::size_t count) {
    constexpr std::size_t window = 128;
    const Cdb kinds[] = {cdb_10(0x35, 0, 0),           // SYNCHRONIZE CACHE (10)
                         cdb_16(0x9e, 8, 0, 0x12),     // GET LBA STATUS
                         cdb_10(0x2f, 0, 8),           // VERIFY (10), without BYTCHK
                         Cdb{0x1d, 0x04, 0, 0, 0, 0},  // SEND DIAGNOSTIC, self test
                         cdb_10(0x41, 0, 8)};          // WRITE SAME (10), no data: refused
    for (const std::size_t end = sent_ + count; sent_ < end;) {
      if (sent_ - answered_ >= window ||
          !lun_.submit(kinds[sent_ % std::size(kinds)], Direction::none, {}, {&ended, this})) {
        std::this_thread::sleep_for(100us);
        continue;
      }
      ++sent_;
    }
  }
  bool all_answered() const { return answered_ == sent_; }

 private:
  static void ended(void* self, const Answer&) { ++static_cast<Flood*>(self)->answered_; }
  Lun& lun_;
  std::size_t sent_ = 0;
  std::atomic<std::size_t> answered_{0};
};

void a_flood_on_a_frozen_lun_leaves_the_memory_as_it_is(void**) {
  const Folder folder{"/dev/shm"};
  const auto rules = [&](const char* text) { std::ofstream{folder.file("faults")} << text; };
  rules("all freeze stubborn\n");
  const auto lun =
      Lun::add("file=" + folder.file("vol.raw") + quick + ";fault=" + folder.file("faults"));
  assert_non_null(lun.get());
  Flood flood{*lun};
  flood.send(20000);  // what is kept, as for slow commands, is there now
  const std::size_t before = resident_bytes();
  flood.send(100000);
  // A leak of a hundred bytes for each command would be more.
  assert_in_range(resident_bytes(), 0, before + (std::size_t{8} << 20));
  rules("");
  assert_true(eventually([&] { return flood.all_answered(); }));
  assert_int_equal(lun->outstanding(), 0);
}
#else
// A sanitizer keeps freed memory.
void a_flood_on_a_frozen_lun_leaves_the_memory_as_it_is(void**) {
  skip();
}
#endif

}  // namespace

int main() {
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(aborts_are_at_most_a_line_a_second),
      cmocka_unit_test(a_flood_on_a_frozen_lun_leaves_the_memory_as_it_is),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
