// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/write_log.h"

#include <algorithm>

#include "lib/backend/filter.h"
#include "lib/base/log.h"
#include "tests/unit/write_log/rig.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;

namespace {

void no_log(LogLevel, std::string_view) {}

struct Opened : test::RigMedia {
  explicit Opened(std::uint64_t seed = 1) {
    {
      test::Rig maker{*this, seed};
      BALLAST_ASSERT(maker.make().ok());
    }
    rig = std::make_unique<test::Rig>(*this, seed + 10);
    BALLAST_ASSERT(rig->open().empty());
  }
  // The store takes nothing.
  void lose_store() { rig->store.die(); }
  std::unique_ptr<test::Rig> rig;
};

struct Answer {
  bool came = false;
  IoStatus status = IoStatus::ok;
};
co::Task<void> append(co::Executor&, WriteLog* log, Change change, Until until,
                      co::CancelToken cancel, Answer* answer) {
  answer->status = co_await log->append(change, until, cancel);
  answer->came = true;
}
void begin(test::Rig& rig, Change change, Answer* answer, co::CancelToken cancel = {}) {
  rig.tasks.spawn(
      "append", append(rig.sim.executor(), rig.log.get(), change, Until::written, cancel, answer));
}

void a_change_is_read_back(void**) {
  Opened log;
  assert_true(ok(log.rig->write(100, 3, 'a')));
  assert_true(ok(log.rig->write(101, 1, 'b')));
  assert_string_equal(log.rig->read(100, 3).c_str(), "aba");
}

void zeros_are_read_as_zeros(void**) {
  Opened log;
  log.lose_store();
  assert_true(ok(log.rig->write(100, 3, 'a')));
  const Change zeros{.kind = Kind::zero, .lba = Lba{101}, .blocks = BlockCount{1}, .data = {}};
  assert_true(ok(log.rig->run(log.rig->log->append(zeros, Until::durable))));
  const std::string text = log.rig->read(100, 3);
  assert_true(text == std::string("a\0a", 3));
}

void changes_that_come_together_share_a_block(void**) {
  Opened log;
  const std::uint64_t before = log.rig->log->written();
  std::array<Answer, 10> answers;
  for (std::uint64_t i = 0; i < answers.size(); ++i) {
    begin(*log.rig, log.rig->change(10 * i, 2, 'a'), &answers[i]);
  }
  log.rig->sim.run_ready();
  while (!std::ranges::all_of(answers, &Answer::came)) {
    assert_true(log.rig->sim.advance());
  }
  // The first block may close before all have come.
  assert_true(log.rig->log->written() <= before + 2);
}

// 8 MiB on the smallest log, eight times over.
void a_change_much_longer_than_a_block_is_taken(void**) {
  Opened log;
  for (int i = 0; i < 10; ++i) {
    assert_true(ok(log.rig->write(1000, 16384, static_cast<char>('a' + i))));
  }
  assert_string_equal(log.rig->read(1000, 2).c_str(), "jj");
  assert_string_equal(log.rig->read(1000 + 16382, 2).c_str(), "jj");
}

void a_full_log_waits_for_the_store_and_goes_on(void**) {
  Opened log;
  test::DiskTemper slow = test::Rig::fast;
  slow.shortest = std::chrono::hours{1};
  slow.longest = slow.shortest;
  log.rig->store.set_temper(slow);
  std::array<Answer, 16> answers;
  for (Answer& answer : answers) {
    begin(*log.rig, log.rig->change(0, 16384, 'x'), &answer);
  }
  log.rig->sim.run_for(std::chrono::minutes{2});
  assert_false(std::ranges::all_of(answers, &Answer::came));
  assert_false(log.rig->log->takes_changes());
  assert_true(log.rig->log->covers(Lba{0}, BlockCount{2000}));
  log.rig->store.set_temper(test::Rig::fast);
  log.rig->sim.run_for(std::chrono::hours{10});
  assert_true(std::ranges::all_of(
      answers, [](const Answer& answer) { return answer.came && ok(answer.status); }));
}

void a_change_is_cancelled_while_its_block_is_open(void**) {
  Opened log;
  log.lose_store();
  co::CancelSource cancel;
  std::array<Answer, 2> answers;
  begin(*log.rig, log.rig->change(0, 1, 'a'), &answers[0]);
  log.rig->sim.run_ready();  // the block has closed
  begin(*log.rig, log.rig->change(1, 1, 'b'), &answers[1], cancel.token());
  log.rig->sim.run_ready();
  cancel.request();
  log.rig->sim.run_for(std::chrono::seconds{1});
  assert_true(answers[0].came && ok(answers[0].status));
  assert_true(answers[1].came && answers[1].status == IoStatus::cancelled);
  assert_false(log.rig->log->covers(Lba{1}, BlockCount{1}));
}

void a_change_on_its_way_is_not_cancelled(void**) {
  Opened log;
  log.lose_store();
  co::CancelSource cancel;
  Answer answer;
  begin(*log.rig, log.rig->change(0, 1, 'a'), &answer, cancel.token());
  log.rig->sim.run_ready();
  cancel.request();
  log.rig->sim.run_for(std::chrono::seconds{1});
  assert_true(answer.came && ok(answer.status));
  assert_string_equal(log.rig->read(0, 1).c_str(), "a");
}

void a_flush_does_not_touch_the_store(void**) {
  Opened log;
  log.lose_store();
  assert_true(ok(log.rig->write(0, 1, 'a', Until::written)));
  assert_true(ok(log.rig->run(log.rig->log->flush())));
}

void a_failed_write_is_told_and_nothing_more_is_taken(void**) {
  Opened log;
  assert_true(ok(log.rig->write(0, 1, 'a')));
  test::DiskTemper broken = test::Rig::fast;
  broken.fails = 1000;
  log.rig->disk.set_temper(broken);
  assert_int_equal(log.rig->write(1, 1, 'b'), IoStatus::medium_error);
  assert_true(log.rig->log->state() != WriteLog::State::working);
  assert_false(log.rig->log->takes_changes());
  log.rig->disk.set_temper(test::Rig::fast);
  assert_int_equal(log.rig->write(2, 1, 'c'), IoStatus::medium_error);
  assert_int_equal(log.rig->run(log.rig->log->flush()), IoStatus::ok);  // all of it was durable
}

void what_a_failing_log_has_gets_to_the_store(void**) {
  Opened log;
  test::DiskTemper broken = test::Rig::fast;
  assert_true(ok(log.rig->write(0, 3, 'a', Until::written)));
  broken.fails = 1000;
  log.rig->disk.set_temper(broken);
  assert_false(ok(log.rig->write(1, 1, 'b')));
  assert_true(ok(log.rig->run(log.rig->log->drain())));
  assert_true(log.rig->log->state() == WriteLog::State::retired);
  std::vector<std::byte> bytes(test::rig_block);
  log.store.read(1, bytes);
  assert_true(bytes[0] == std::byte{'a'});
}

// How long it takes until the store has 8 MiB, if each of its operations takes 20 to 60 ms.
Nanoseconds time_to_write_back(bool log_fails) {
  Opened log;
  test::Rig& rig = *log.rig;
  test::DiskTemper slow = test::Rig::fast;
  slow.shortest = slow.longest = std::chrono::milliseconds{20};
  rig.store.set_temper(slow);
  Answer answer;
  begin(rig, rig.change(0, 16384, 'a'), &answer);
  rig.sim.run_ready();
  while (!answer.came) {
    BALLAST_ASSERT(rig.sim.advance());
  }
  if (log_fails) {
    test::DiskTemper broken = test::Rig::fast;
    broken.fails = 1000;
    rig.disk.set_temper(broken);
    begin(rig, rig.change(0, 1, 'b'), &answer);
  }
  const TimePoint began = rig.sim.now();
  rig.sim.run_ready();
  while (!rig.log->empty()) {
    BALLAST_ASSERT(rig.sim.advance());
  }
  return rig.sim.now() - began;
}

void a_failing_log_is_written_back_as_fast_as_the_store_takes_it(void**) {
  assert_true(time_to_write_back(false) > std::chrono::seconds{2});  // at its leisure
  assert_true(time_to_write_back(true) < std::chrono::milliseconds{800});
}

void a_failed_flush_is_told_to_all_later_ones(void**) {
  Opened log;
  log.lose_store();
  test::DiskTemper broken = test::Rig::fast;
  assert_true(ok(log.rig->write(0, 1, 'a', Until::durable)));
  Answer answer;
  begin(*log.rig, log.rig->change(1, 1, 'b'), &answer);
  log.rig->sim.run_ready();
  while (!answer.came) {
    assert_true(log.rig->sim.advance());
  }
  broken.fails = 1000;
  log.rig->disk.set_temper(broken);
  assert_int_equal(log.rig->run(log.rig->log->flush()), IoStatus::medium_error);
  log.rig->disk.set_temper(test::Rig::fast);
  assert_int_equal(log.rig->run(log.rig->log->flush()), IoStatus::medium_error);
}

void rot_is_read_as_an_error_and_never_written_back(void**) {
  Opened log;
  const std::uint64_t block = log.rig->log->written() + 1;
  assert_int_equal(block, 1);
  Answer answer;
  begin(*log.rig, log.rig->change(0, 1, 'a'), &answer);
  log.rig->sim.run_ready();
  while (!answer.came) {
    assert_true(log.rig->sim.advance());
  }
  log.log.rot(ring_begin + page + 7);
  assert_string_equal(log.rig->read(0, 1).c_str(), "!");
  assert_false(ok(log.rig->run(log.rig->log->drain())));
  assert_true(log.rig->log->state() == WriteLog::State::damaged);
  std::vector<std::byte> bytes(test::rig_block);
  log.store.read(0, bytes);
  assert_true(bytes[0] == std::byte{0});
}

void what_is_drained_is_in_the_store(void**) {
  Opened log;
  assert_true(ok(log.rig->write(0, 3, 'a')));
  assert_true(ok(log.rig->run(log.rig->log->drain())));
  assert_false(log.rig->log->covers(Lba{0}, BlockCount{3}));
  std::vector<std::byte> bytes(test::rig_block);
  log.store.read(2, bytes);
  assert_true(bytes[0] == std::byte{'a'});
}

// Superblocks that are written while five durable changes, one after the other, get to the store.
std::uint64_t superblocks_for_five_epochs(Order order) {
  test::RigMedia media;
  test::Rig rig{media};
  BALLAST_ASSERT(rig.make().ok());
  BALLAST_ASSERT(rig.open(test::rig_identity(), order).empty());
  const std::uint64_t before = rig.disk.writes_below(ring_begin);
  for (std::uint64_t i = 0; i < 5; ++i) {
    Answer answer;
    rig.tasks.spawn("append", append(rig.sim.executor(), rig.log.get(), rig.change(i, 1, 'a'),
                                     Until::durable, {}, &answer));
    rig.sim.run_ready();
    while (!answer.came) {
      BALLAST_ASSERT(rig.sim.advance());
    }
  }
  BALLAST_ASSERT(ok(rig.run(rig.log->drain())));
  return rig.disk.writes_below(ring_begin) - before;
}

void in_free_order_a_batch_is_of_several_epochs(void**) {
  assert_true(superblocks_for_five_epochs(Order::epoch) >= 5);
  assert_true(superblocks_for_five_epochs(Order::free) <= 2);
}

void a_store_that_fails_is_tried_again(void**) {
  Opened log;
  test::DiskTemper broken = test::Rig::fast;
  broken.fails = 1000;
  log.rig->store.set_temper(broken);
  assert_true(ok(log.rig->write(0, 3, 'a')));
  log.rig->sim.run_for(std::chrono::minutes{3});
  assert_true(log.rig->log->covers(Lba{0}, BlockCount{3}));
  assert_true(log.rig->log->state() == WriteLog::State::working);
  log.rig->store.set_temper(test::Rig::fast);
  log.rig->sim.run_for(std::chrono::minutes{2});
  assert_false(log.rig->log->covers(Lba{0}, BlockCount{3}));
}

// Says when a write ends, in the turn in which it does.
class Announced final : public backend::Filter {
 public:
  explicit Announced(backend::Backend& inner) : Filter{inner}, ended{inner.executor()} {}
  co::Task<IoStatus> write(Bytes offset, io::SgView from, backend::Fua fua,
                           co::CancelToken cancel) override {
    const IoStatus status = co_await Filter::write(offset, from, fua, cancel);
    ended.set();
    co_return status;
  }
  co::Event ended;
};

co::Task<void> close_behind(co::Executor&, co::Event* ended, WriteLog* log) {
  co_await ended->wait();
  co_await log->close();
}

// Who runs next is drawn. In one order the sealer wants its seal durable when nobody flushes.
void closing_while_a_seal_is_written_ends(void**) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    test::RigMedia media;
    test::Rig rig{media, seed};
    assert_true(rig.make().ok());
    Announced disk{rig.disk};
    WriteLog::Options options;
    options.identity = test::rig_identity();
    auto log = std::move(rig.run(WriteLog::open(disk, rig.store, options))).value();
    Answer answer;
    rig.tasks.spawn("append", append(rig.sim.executor(), log.get(), rig.change(0, 1, 'a'),
                                     Until::durable, {}, &answer));
    rig.sim.run_ready();
    while (!answer.came) {
      assert_true(rig.sim.advance());
    }
    disk.ended.reset();  // set by the next write, that of the seal
    rig.run(close_behind(rig.sim.executor(), &disk.ended, log.get()));
  }
}

}  // namespace

int main() {
  set_log_sink(&no_log);
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_change_is_read_back),
      cmocka_unit_test(zeros_are_read_as_zeros),
      cmocka_unit_test(changes_that_come_together_share_a_block),
      cmocka_unit_test(a_change_much_longer_than_a_block_is_taken),
      cmocka_unit_test(a_full_log_waits_for_the_store_and_goes_on),
      cmocka_unit_test(a_change_is_cancelled_while_its_block_is_open),
      cmocka_unit_test(a_change_on_its_way_is_not_cancelled),
      cmocka_unit_test(a_flush_does_not_touch_the_store),
      cmocka_unit_test(a_failed_write_is_told_and_nothing_more_is_taken),
      cmocka_unit_test(what_a_failing_log_has_gets_to_the_store),
      cmocka_unit_test(a_failing_log_is_written_back_as_fast_as_the_store_takes_it),
      cmocka_unit_test(a_failed_flush_is_told_to_all_later_ones),
      cmocka_unit_test(rot_is_read_as_an_error_and_never_written_back),
      cmocka_unit_test(what_is_drained_is_in_the_store),
      cmocka_unit_test(in_free_order_a_batch_is_of_several_epochs),
      cmocka_unit_test(a_store_that_fails_is_tried_again),
      cmocka_unit_test(closing_while_a_seal_is_written_ends),
  };
  return cmocka_run_group_tests_name("write_log", tests, nullptr, nullptr);
}
