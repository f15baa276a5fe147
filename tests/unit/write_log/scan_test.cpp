// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/scan.h"

#include <cstring>

#include "lib/base/log.h"
#include "tests/unit/write_log/rig.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;

namespace {

void no_log(LogLevel, std::string_view) {}

void assert_says(const std::string& sentence, const char* part) {
  if (sentence.find(part) == std::string::npos) {
    std::fprintf(stderr, "\"%s\" does not say \"%s\"\n", sentence.c_str(), part);
  }
  assert_true(sentence.find(part) != std::string::npos);
}

// A log with three blocks of one change each, whose process was killed. The store never answers.
struct Three {
  Three() {
    test::Rig rig{media};
    BALLAST_ASSERT(rig.make().ok());
    BALLAST_ASSERT(rig.open().empty());
    rig.store.die();
    BALLAST_ASSERT(ok(rig.write(10, 4, 'a')));
    BALLAST_ASSERT(ok(rig.write(20, 4, 'b')));
    BALLAST_ASSERT(ok(rig.write(30, 4, 'c')));
    rig.disk.die();
  }
  static constexpr std::uint64_t block_bytes = 2 * page;
  // Where the n-th of them begins, from 0 on.
  static std::uint64_t block(std::uint64_t n) { return ring_begin + n * block_bytes; }
  test::RigMedia media;
};

void what_was_durable_is_found_again(void**) {
  Three three;
  test::Rig rig{three.media};
  assert_string_equal(rig.open().c_str(), "");
  assert_string_equal(rig.read(9, 6).substr(1, 4).c_str(), "aaaa");
  assert_string_equal(rig.read(20, 4).c_str(), "bbbb");
  assert_string_equal(rig.read(30, 4).c_str(), "cccc");
  assert_false(rig.log->covers(Lba{9}, BlockCount{2}));
}

void a_torn_last_block_is_the_end(void**) {
  Three three;
  // Quiet follows each durable change here, so the last block is a seal. It is torn as well.
  test::Rig before{three.media};
  std::uint64_t last = 0;
  for (std::uint64_t at = ring_begin; at < ring_begin + 64 * page; at += page) {
    std::array<std::byte, page> bytes{};
    three.media.log.read(at / page, bytes);
    last = decode_header(bytes, Sizes{}, at, "here").ok() ? at : last;
  }
  three.media.log.rot(last);
  assert_string_equal(before.open().c_str(), "");
  assert_string_equal(before.read(30, 4).c_str(), "cccc");
}

void rot_in_what_was_durable_is_told(void**) {
  Three three;
  three.media.log.rot(Three::block(0) + page + 100);
  test::Rig rig{three.media};
  const std::string said = rig.open();
  assert_says(said,
              "sim at 1048576: the log is damaged: the data of block 1 of the log is not what");
  assert_says(said, "It changed these blocks of the LUN: 10+4.");
}

void a_hole_before_what_was_durable_is_told(void**) {
  Three three;
  three.media.log.rot(Three::block(0));
  test::Rig rig{three.media};
  const std::string said = rig.open();
  assert_says(said, "block 1 of the log is not there, although blocks up to");
  assert_says(said, "Which blocks of the LUN it changed is not known.");
}

// A seal says what is durable, so rot in the very last change shows, too.
void rot_in_the_last_change_shows_once_it_is_sealed(void**) {
  test::RigMedia media;
  {
    test::Rig rig{media};
    assert_true(rig.make().ok());
    assert_string_equal(rig.open().c_str(), "");
    rig.store.die();
    assert_true(ok(rig.write(10, 4, 'a', Until::written)));
    rig.disk.die();
  }
  media.log.rot(ring_begin + page);
  test::Rig rig{media};
  assert_says(rig.open(), "the data of block 1 of the log is not what was written");
}

void the_log_of_something_else_is_refused_and_left_alone(void**) {
  Three three;
  test::Rig rig{three.media};
  Identity other = test::rig_identity();
  other.store[0] = 8;
  assert_says(rig.open(other), "this is the log of another store, which was called");
  other = test::rig_identity();
  other.owner = 4;
  assert_says(rig.open(other),
              "the log belongs to owner 3 of the store, and the store has owner 4");
  other = test::rig_identity();
  other.block = 4096;
  assert_says(rig.open(other), "for a LUN in blocks of 512 bytes, and this LUN has blocks of 4096");
  other = test::rig_identity();
  other.log = Uuid{1};
  assert_says(rig.open(other), "names another log than this one");
  assert_int_equal(rig.disk.bytes_written(), 0);
  assert_string_equal(rig.open().c_str(), "");
}

void the_older_superblock_is_not_needed(void**) {
  Three three;
  three.media.log.rot(0);
  test::Rig rig{three.media};
  assert_string_equal(rig.open().c_str(), "");
  assert_string_equal(rig.read(10, 4).c_str(), "aaaa");
}

void a_lost_newest_superblock_is_told(void**) {
  Three three;
  three.media.log.rot(superblock_b);
  test::Rig rig{three.media};
  assert_says(rig.open(), "a newer superblock was lost");
}

// What a killed process left in the caches of the device must not get lost by a power failure
// after it was found.
void what_was_found_is_durable(void**) {
  test::RigMedia media;
  {
    test::Rig rig{media};
    assert_true(rig.make().ok());
    assert_string_equal(rig.open().c_str(), "");
    rig.store.die();
    rig.tasks.spawn("write", [](co::Executor&, test::Rig* its) -> co::Task<void> {
      (void)co_await its->log->append(its->change(10, 4, 'a'), Until::written);
      its->disk.die();  // before the quiet that makes everything durable
    }(rig.sim.executor(), &rig));
    rig.sim.run_for(std::chrono::seconds{1});
  }
  {
    test::Rig rig{media};
    assert_string_equal(rig.open().c_str(), "");
    rig.disk.die();
  }
  co::Random random{1};
  media.log.cut_power(random, 0);
  test::Rig rig{media};
  assert_string_equal(rig.open().c_str(), "");
  assert_string_equal(rig.read(10, 4).c_str(), "aaaa");
}

// A full log of 16 segments, on a device that takes 10 ms for each read.
void an_opening_reads_several_segments_at_once(void**) {
  test::RigMedia media;
  {
    test::Rig rig{media};
    assert_true(rig.make().ok());
    assert_string_equal(rig.open().c_str(), "");
    rig.store.die();
    for (int i = 0; i < 6; ++i) {
      assert_true(ok(rig.write(0, 18000, static_cast<char>('a' + i), Until::written)));
    }
    rig.disk.die();
  }
  test::Rig rig{media};
  test::DiskTemper slow = test::Rig::fast;
  slow.slow_read = 1000;
  slow.very_long = std::chrono::milliseconds{10};
  rig.disk.set_temper(slow);
  rig.store.die();
  const TimePoint began = rig.sim.now();
  rig.tasks.spawn("open", [](co::Executor&, test::Rig* its) -> co::Task<void> {
    WriteLog::Options options;
    options.identity = test::rig_identity();
    Result<std::unique_ptr<WriteLog>> opened =
        co_await WriteLog::open(its->disk, its->store, options);
    BALLAST_ASSERT(opened.ok());
    its->log = std::move(opened).value();
  }(rig.sim.executor(), &rig));
  rig.sim.run_ready();
  while (rig.log == nullptr) {
    assert_true(rig.sim.advance());
  }
  const Nanoseconds took = rig.sim.now() - began;
  // One by one they are 2 superblocks, 14 segments with blocks, 2 whole ones, and 14 first pages.
  assert_true(rig.log->fullness() > 800);
  assert_true(took < std::chrono::milliseconds{250});
  assert_string_equal(rig.read(17999, 1).c_str(), "f");
}

}  // namespace

int main() {
  set_log_sink(&no_log);
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_was_durable_is_found_again),
      cmocka_unit_test(a_torn_last_block_is_the_end),
      cmocka_unit_test(rot_in_what_was_durable_is_told),
      cmocka_unit_test(a_hole_before_what_was_durable_is_told),
      cmocka_unit_test(rot_in_the_last_change_shows_once_it_is_sealed),
      cmocka_unit_test(the_log_of_something_else_is_refused_and_left_alone),
      cmocka_unit_test(the_older_superblock_is_not_needed),
      cmocka_unit_test(a_lost_newest_superblock_is_told),
      cmocka_unit_test(what_was_found_is_durable),
      cmocka_unit_test(an_opening_reads_several_segments_at_once),
  };
  return cmocka_run_group_tests_name("scan", tests, nullptr, nullptr);
}
