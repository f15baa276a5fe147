// SPDX-License-Identifier: Apache-2.0
// The built plugin, and an initiator that sends as much as it can to do harm: neither the log nor
// the memory of the daemon may grow with it, and another LUN goes on.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

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

// What an initiator sends that means harm: lists of the largest size and lists that lie, commands
// of any bytes, copies to a LUN of somebody else. It aborts what is under way, and sends again what
// was answered BUSY.
class Hostile {
 public:
  // `page_83`: of the LUN that is not its own.
  Hostile(Lun& lun, std::uint64_t seed, std::span<const std::byte> page_83)
      : lun_{lun}, random_{seed}, page_83_{page_83} {}

  void send_until(Clock::time_point end) {
    while (Clock::now() < end) {
      bool idle = true;
      for (Sent& sent : window_) {
        if (sent.is_free.load(std::memory_order_acquire) && send(sent)) {
          idle = false;
        }
      }
      if (one_in(20)) {
        abort_all();
      }
      if (idle) {
        std::this_thread::sleep_for(100us);
      }
    }
  }
  bool all_answered() const {
    return std::ranges::all_of(window_, [](const Sent& sent) { return sent.is_free.load(); });
  }
  std::size_t good() const { return good_; }
  std::size_t refused() const { return refused_; }
  std::size_t sent_again() const { return sent_again_; }

 private:
  static constexpr std::uint32_t lun_blocks = (64 << 20) / 512;
  static constexpr std::uint8_t busy = 0x08;
  struct Sent {
    Hostile* flood = nullptr;
    Cdb cdb;
    Direction direction = Direction::none;
    std::vector<std::byte> data;
    std::uint16_t id = 0;
    std::uint8_t status = 0;
    std::atomic<bool> is_free{true};  // answered, or never used
  };

  bool one_in(unsigned n) { return random_() % n == 0; }
  void fill(std::span<std::byte> bytes) {
    std::ranges::generate(bytes, [this] { return static_cast<std::byte>(random_()); });
  }

  bool send(Sent& sent) {
    if (sent.status == busy && !one_in(4)) {
      ++sent_again_;
    } else {
      draw(sent);
    }
    sent.flood = this;
    sent.is_free.store(false, std::memory_order_relaxed);
    if (!lun_.submit(sent.cdb, sent.direction, sent.data, {&ended, &sent})) {
      sent.is_free.store(true);
      return false;
    }
    sent.id = lun_.id_of_last_command();
    return true;
  }
  static void ended(void* self, const Answer& answer) {
    Sent& sent = *static_cast<Sent*>(self);
    sent.flood->good_ += answer.status == 0 ? 1 : 0;
    sent.flood->refused_ += answer.status == 0x02 ? 1 : 0;
    sent.status = answer.status;
    sent.is_free.store(true, std::memory_order_release);
  }
  void abort_all() {
    std::vector<std::uint16_t> ids;
    for (const Sent& sent : window_) {
      if (!sent.is_free.load()) {
        ids.push_back(sent.id);
      }
    }
    lun_.queue_task_management(ids);
    lun_.raise();
  }

  void draw(Sent& sent) {
    sent.direction = Direction::to_device;
    switch (random_() % 8) {
      case 0:
        sent.data = largest_unmap();
        sent.cdb = cdb_10(0x42, 0, static_cast<std::uint16_t>(sent.data.size()));
        break;
      case 1:  // a list that lies
        sent.data = largest_unmap();
        fill(std::span{sent.data}.first(8));
        sent.data.resize(one_in(2) ? sent.data.size() : random_() % sent.data.size() + 1);
        sent.cdb = cdb_10(0x42, 0, static_cast<std::uint16_t>(sent.data.size()));
        break;
      case 2:  // the longest WRITE SAME
        sent.data = bytes_of(512, static_cast<unsigned>(random_()));
        sent.cdb = cdb_16(0x93, random_() % (lun_blocks - 2560), 2560);
        break;
      case 3:  // a copy to the other LUN, and now and then a list that lies
        sent.data = copy_list(page_83_, 0, 0, 255);
        if (one_in(2)) {
          sent.data[random_() % sent.data.size()] = static_cast<std::byte>(random_());
        }
        sent.cdb = cdb_16(0x83, 0, static_cast<std::uint32_t>(sent.data.size()));
        break;
      case 4:  // MODE SELECT of anything
        sent.data.resize(random_() % 64 + 1);
        fill(sent.data);
        sent.cdb = Cdb{0x15, 0x10, 0, 0, static_cast<unsigned>(sent.data.size()), 0};
        break;
      case 5:  // long writes
        sent.data = bytes_of(std::size_t{128} << 10, static_cast<unsigned>(random_()));
        sent.cdb = write_16(random_() % (lun_blocks - 256), 256, one_in(2));
        break;
      case 6:  // a LUN that was stopped refuses nearly all else
        sent.data.clear();
        sent.direction = Direction::none;
        sent.cdb = start_unit();
        break;
      default:
        draw_any(sent);
    }
  }
  void draw_any(Sent& sent) {
    sent.cdb.length = 16;
    std::ranges::generate(sent.cdb.bytes, [this] { return static_cast<std::uint8_t>(random_()); });
    sent.direction = one_in(2) ? Direction::to_device : Direction::from_device;
    sent.data.resize(random_() % 5000 + 1);
    fill(sent.data);
  }
  // As many descriptors and as many blocks as an UNMAP may have, each block several times.
  static std::vector<std::byte> largest_unmap() {
    constexpr std::size_t descriptors = 64;
    std::vector<std::byte> list(8 + descriptors * 16);
    list[0] = std::byte((list.size() - 2) >> 8);
    list[1] = std::byte(list.size() - 2);
    list[2] = std::byte(descriptors * 16 >> 8);
    list[3] = std::byte(descriptors * 16 & 0xff);
    constexpr std::uint32_t blocks = (std::uint32_t{512} << 20) / 512 / descriptors;
    for (std::size_t i = 0; i < descriptors; ++i) {
      const auto lba = static_cast<std::uint32_t>(i * blocks % lun_blocks);
      for (unsigned byte = 0; byte < 4; ++byte) {
        list[8 + i * 16 + 4 + byte] = static_cast<std::byte>(lba >> (24 - 8 * byte));
        list[8 + i * 16 + 8 + byte] = static_cast<std::byte>(blocks >> (24 - 8 * byte));
      }
    }
    return list;
  }

  Lun& lun_;
  std::mt19937_64 random_;
  std::span<const std::byte> page_83_;
  std::array<Sent, 64> window_;
  std::size_t sent_again_ = 0;
  std::atomic<std::size_t> good_{0};
  std::atomic<std::size_t> refused_{0};
};

// Writes and reads one LUN, one command after the other, until it is told to end.
class PlainLoop {
 public:
  static constexpr std::chrono::seconds most = 5s;  // for one answer, on a slow machine

  explicit PlainLoop(Lun& lun) : lun_{lun}, written_(places), thread_{[this] { run(); }} {}
  ~PlainLoop() { end(); }
  void end() {
    over_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  // After end().
  const char* wrong() const { return wrong_; }
  std::size_t rounds() const { return rounds_; }
  std::chrono::milliseconds longest() const { return longest_; }
  // Whether each place holds what was written there last.
  bool is_right() {
    for (unsigned place = 0; place < places; ++place) {
      if (written_[place] != 0 && read(place) != bytes_of(length, written_[place])) {
        return false;
      }
    }
    return true;
  }

 private:
  static constexpr unsigned places = 256;
  static constexpr std::size_t length = 4096;
  static constexpr std::uint32_t blocks = length / 512;

  void run() {
    for (unsigned seed = 1; !over_ && wrong_ == nullptr; ++seed) {
      const unsigned place = seed * 7 % places;
      std::vector<std::byte> data = bytes_of(length, seed);
      execute(write_16(place * blocks, blocks), Direction::to_device, data);
      written_[place] = seed;
      if (wrong_ == nullptr && read(place) != bytes_of(length, seed)) {
        say("it has other data than was written");
      }
      ++rounds_;
    }
  }
  std::vector<std::byte> read(unsigned place) {
    std::vector<std::byte> data(length);
    execute(read_16(place * blocks, blocks), Direction::from_device, data);
    return data;
  }
  void execute(const Cdb& cdb, Direction direction, std::vector<std::byte>& data) {
    const auto begin = Clock::now();
    Countdown answered{1};
    if (!lun_.submit(cdb, direction, data, answered.done())) {
      say("its ring is full");
      return;
    }
    if (!answered.wait()) {
      std::fputs("a command was never answered\n", stderr);
      std::abort();  // the LUN still has the data
    }
    const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
    longest_ = std::max(longest_, time);
    if (answered.bad() > 0) {
      say("a command failed");
    }
    if (time > most) {
      say("a command was not answered in time");
    }
  }
  void say(const char* what) { wrong_ = wrong_ == nullptr ? what : wrong_; }

  Lun& lun_;
  std::vector<unsigned> written_;  // the seed of what is there; 0: nothing was written
  std::size_t rounds_ = 0;
  std::chrono::milliseconds longest_{};
  const char* wrong_ = nullptr;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

void hostile_commands_to_one_lun_do_not_hold_up_another(void**) {
  const Folder folder{"/dev/shm"};
  const auto attacked = Lun::add("file=" + folder.file("attacked.raw"));
  LunOptions other;
  other.unit_serial = "7a31c0de-0000-4000-8000-00000000abcd";
  const auto lun = Lun::add("file=" + folder.file("other.raw"), other);
  assert_non_null(attacked.get());
  assert_non_null(lun.get());
  std::vector<std::byte> page_83(255);
  assert_int_equal(lun->execute(inquiry_page(0x83, 255), Direction::from_device, page_83).status,
                   0);
  PlainLoop loop{*lun};
  Hostile flood{*attacked, seed(), page_83};
  flood.send_until(Clock::now() + 5s);
  loop.end();
  print_message("hostile: %zu good, %zu refused, %zu sent again; the other: %zu rounds, %lld ms\n",
                flood.good(), flood.refused(), flood.sent_again(), loop.rounds(),
                static_cast<long long>(loop.longest().count()));
  if (loop.wrong() != nullptr) {
    print_error("the other LUN: %s\n", loop.wrong());
  }
  assert_null(loop.wrong());
  assert_true(loop.rounds() > 0 && loop.is_right());
  assert_true(flood.good() > 0 && flood.refused() > 0);
  assert_true(eventually([&] { return flood.all_answered(); }));
}

}  // namespace

int main() {
  load_built_plugin();
  const CMUnitTest tests[] = {
      cmocka_unit_test(aborts_are_at_most_a_line_a_second),
      cmocka_unit_test(a_flood_on_a_frozen_lun_leaves_the_memory_as_it_is),
      cmocka_unit_test(hostile_commands_to_one_lun_do_not_hold_up_another),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
