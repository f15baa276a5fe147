// SPDX-License-Identifier: Apache-2.0
// EXTENDED COPY from one LUN to another: who may, what is refused, and a source that hangs, fails
// or goes away.
#include "lib/lun/copy_offers.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/unit/lun/rig.h"
#include "tests/unit/scsi/copy_list.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;
using namespace std::chrono_literals;
using scsi::SenseKey;
namespace asc = scsi::asc;

namespace {

constexpr std::uint64_t block = 512;
constexpr std::string_view source_serial = "7a31c0de-0000-4000-8000-00000000abcd";
const Bytes8 test_unit_ready(6);
const Bytes8 read_one{0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0};

lun::LunSetup setup_of(const char* name, const char* group) {
  lun::LunSetup setup = usual_setup();
  setup.name = name;
  setup.config.copy_group = group;
  setup.config.deadline = 2s;
  return setup;
}

// A list whose first name is the source's, and whose second one is the LUN's that it is sent to.
Bytes8 from_source(const std::vector<CopyRange>& ranges) {
  Bytes8 list = copy_list(ranges, 2);
  name_lun(list, 0, source_serial);
  return list;
}

// LUN `to` is sent the copies; they read `from`. Each has an executor of its own.
struct Pair {
  explicit Pair(const char* group = "g", const lun::LunSetup& source = setup_of("from", "g"))
      : Pair{source, setup_of("to", group)} {}
  Pair(const lun::LunSetup& source, const lun::LunSetup& target)
      : from{source, true, &offers}, to{target, true, &offers} {
    from.serial = source_serial;
    assert_true(from.send(test_unit_ready).good());
    assert_true(to.send(test_unit_ready).good());
  }
  void run() {
    for (int i = 0; i < 20; ++i) {
      from.sim.run_ready();
      to.sim.run_ready();
    }
  }
  void run_for(Nanoseconds time) {
    for (Nanoseconds passed{}; passed < time; passed += 50ms) {
      from.sim.run_for(50ms);
      to.sim.run_for(50ms);
      run();
    }
  }
  Answer copy(const Bytes8& list) {
    const Answer at_once = to.send(copy_cdb(list.size()), list);
    if (at_once.ended) {
      return at_once;
    }
    run();
    return to.look();
  }
  bool has(std::uint64_t lba, const Bytes8& data) {
    return to.stored(lba * block, data.size()) == data;
  }

  lun::CopyOffers offers;
  LunRig from, to;
};

bool unreachable(const Answer& answer) {
  return answer.failed(SenseKey::copy_aborted, asc::copy_target_device_not_reachable);
}

void the_blocks_of_another_lun_are_copied(void**) {
  Pair luns;
  const Bytes8 data = pattern(1500 * block);
  luns.from.store_bytes(20 * block, data);
  assert_true(luns.copy(from_source({{20, 4000, 1500}})).good());
  assert_true(luns.has(4000, data));
  assert_true(luns.has(3999, Bytes8(block)));
  assert_true(luns.has(20, Bytes8(1500 * block)));
  assert_true(luns.from.stored(4000 * block, block) == Bytes8(block));
}

// A list may read from both; only what it reads of the LUN itself must not be written.
void one_list_reads_from_both(void**) {
  Pair luns;
  const Bytes8 theirs = pattern(8 * block);
  Bytes8 own = pattern(8 * block);
  std::ranges::reverse(own);
  luns.from.store_bytes(0, theirs);
  luns.to.store_bytes(100 * block, own);
  Bytes8 list = from_source({{0, 0, 8}, {100, 200, 8}});
  put16(list, 16 + 2 * 32 + 28 + 4, 1);
  assert_true(luns.copy(list).good());
  assert_true(luns.has(0, theirs) && luns.has(200, own));
}

void without_its_group_it_is_not_reachable(void**) {
  for (const char* const group : {"", "h"}) {
    Pair luns{group};
    assert_true(unreachable(luns.copy(from_source({{0, 0, 8}}))));
  }
  Pair luns{"g", setup_of("from", "")};
  assert_true(unreachable(luns.copy(from_source({{0, 0, 8}}))));
}

void no_other_lun_is_written(void**) {
  Pair luns;
  luns.to.store_bytes(0, pattern(8 * block));
  Bytes8 list = copy_list({{0, 8, 8}}, 2);
  name_lun(list, 1, source_serial);
  assert_true(unreachable(luns.copy(list)));
  assert_true(luns.from.stored(8 * block, 8 * block) == Bytes8(8 * block));
}

void blocks_of_another_size_are_refused(void**) {
  lun::LunSetup setup = setup_of("from", "g");
  setup.logical_block = Bytes{4096};
  setup.capacity = BlockCount{1024};
  Pair luns{"g", setup};
  Bytes8 list = from_source({{0, 0, 8}});
  put16(list, cscd_at + 30, 4096);
  assert_true(
      luns.copy(list).failed(SenseKey::copy_aborted, asc::incorrect_copy_target_device_type));
}

void beyond_its_end_the_copy_is_aborted(void**) {
  Pair luns;
  assert_true(luns.copy(from_source({{8184, 0, 8}})).good());
  assert_true(luns.copy(from_source({{8185, 0, 8}}))
                  .failed(SenseKey::copy_aborted, asc::no_additional_sense));
  luns.from.lun->resize(Bytes{4096 * block},
                        [](const Result<void>& done) { assert_true(done.ok()); });
  luns.run();
  assert_true(luns.copy(from_source({{4089, 0, 8}}))
                  .failed(SenseKey::copy_aborted, asc::no_additional_sense));
}

void two_luns_of_one_name_are_not_reachable(void**) {
  Pair luns;
  LunRig third{setup_of("third", "g"), true, &luns.offers};
  third.serial = source_serial;
  assert_true(third.send(test_unit_ready).good());
  assert_true(unreachable(luns.copy(from_source({{0, 0, 8}}))));
  third.close();
  third.sim.run_until_idle();
  assert_true(luns.copy(from_source({{0, 0, 8}})).good());
}

void a_lun_that_had_no_command_yet_may_be_offered(void**) {
  lun::CopyOffers offers;
  LunRig from{setup_of("from", "g"), true, &offers};
  from.lun->offer_to_copies("some other name");
  from.lun->offer_to_copies(source_serial);
  LunRig to{setup_of("to", "g"), true, &offers};
  const Bytes8 list = from_source({{0, 0, 8}});
  assert_true(to.send(test_unit_ready).good());
  assert_false(to.send(copy_cdb(list.size()), list).ended);
  from.sim.run_ready();
  to.sim.run_ready();
  assert_true(to.look().good());
}

void a_bad_block_of_it_is_said_to_be_its(void**) {
  Pair luns;
  luns.from.spy->failures["read"] = IoStatus::medium_error;
  assert_true(luns.copy(from_source({{0, 0, 8}}))
                  .failed(SenseKey::copy_aborted, asc::third_party_device_failure));
}

void a_stopped_lun_is_not_copied_from(void**) {
  Pair luns;
  for (const bool started : {false, true}) {
    const Bytes8 start_stop{0x1b, 0, 0, 0, static_cast<std::uint8_t>(started ? 1 : 0), 0};
    assert_true(luns.from.send(start_stop).good());
    const Answer answer = luns.copy(from_source({{0, 0, 8}}));
    assert_true(started ? answer.good() : unreachable(answer));
  }
}

// The copy waits in a stage of its own, is answered at its deadline, and nothing of it is left in
// its LUN, which goes on meanwhile and may close.
void a_source_that_hangs_holds_up_nothing_but_the_copy(void**) {
  Pair luns;
  luns.from.store_bytes(0, pattern(8 * block));
  luns.from.spy->gate.reset();
  assert_false(luns.copy(from_source({{0, 0, 8}})).ended);
  watch::LunSnapshot snapshot;
  luns.to.lun->describe({.in_flight = true}, &snapshot);
  assert_int_equal(snapshot.in_flight.size(), 1);
  assert_true(snapshot.in_flight[0].stage == watch::Stage::source);
  luns.run_for(3s);
  const Answer answer = luns.to.look();
  assert_true(answer.ended && answer.status == scsi::Status::busy);
  assert_int_equal(luns.to.lun->task_set()->orphans(), 0);
  assert_false(luns.to.lun->task_set()->stalled());
  assert_true(luns.to.send(read_one, Bytes8(block)).good());
  luns.to.close();
  luns.to.sim.run_until_idle();
  assert_true(luns.to.lun->is_gone());
  luns.from.spy->gate.set();
  luns.run();
}

co::Task<void> ask(co::Executor& asker, scsi::CopySource& source, co::CancelToken cancel,
                   std::span<std::byte> to, std::optional<IoStatus>* status) {
  *status = co_await source.read(asker, cancel, Lba{0}, to);
}

// Its memory belongs to somebody else by then.
void blocks_that_come_too_late_are_not_moved(void**) {
  Pair luns;
  luns.from.store_bytes(0, pattern(block));
  const std::shared_ptr<scsi::CopySource> source =
      luns.offers.find("g", scsi::naa_of(source_serial), nullptr);
  std::array<std::byte, block> memory{};
  std::optional<IoStatus> status;
  co::CancelSource cancel;
  co::TaskGroup group{luns.to.executor()};
  luns.from.spy->gate.reset();
  group.spawn("test", ask(luns.to.executor(), *source, cancel.token(), memory, &status));
  luns.run();
  assert_false(status.has_value());
  cancel.request();
  luns.run();
  assert_true(status == IoStatus::cancelled);
  luns.from.spy->gate.set();
  luns.run();
  assert_true(std::ranges::all_of(memory, [](std::byte byte) { return byte == std::byte{}; }));
}

void a_read_that_nobody_waits_for_is_cancelled_at_the_store(void**) {
  Pair luns;
  luns.from.spy->gate.reset();
  luns.from.spy->cancellable = true;
  assert_false(luns.copy(from_source({{0, 0, 8}})).ended);
  assert_int_equal(luns.from.spy->running(), 1);
  luns.run_for(3s);
  assert_true(luns.to.look().status == scsi::Status::busy);
  assert_int_equal(luns.from.spy->running(), 0);
}

std::vector<std::string>& lines() {
  static std::vector<std::string> all;
  return all;
}

// In a group of many nothing else would say which LUN it is.
void the_log_names_the_lun_that_is_waited_for(void**) {
  Pair luns;
  lines().clear();
  set_log_sink([](LogLevel, std::string_view line) { lines().emplace_back(line); });
  luns.from.spy->gate.reset();
  assert_false(luns.copy(from_source({{0, 0, 8}})).ended);
  luns.run_for(1500ms);
  const auto names = [](const std::string& line) {
    return line.starts_with("test: a copy has waited for test, which has the blocks");
  };
  assert_int_equal(std::ranges::count_if(lines(), names), 1);
}

// Also for those that wait for a buffer.
void copies_within_the_lun_go_on_meanwhile(void**) {
  Pair luns;
  luns.from.spy->gate.reset();
  const Bytes8 list = from_source({{0, 0, 8}});
  for (std::size_t i = 0; i <= io::ScratchPool::buffer_count; ++i) {
    assert_false(luns.copy(list).ended);
  }
  const Bytes8 own = copy_list({{0, 100, 8}});
  assert_true(luns.copy(own).good());
}

// However long the source hangs, and although initiators believe BUSY no more: this LUN is well.
void a_source_that_hangs_is_no_trouble_of_the_lun(void**) {
  lun::LunSetup setup = setup_of("from", "g");
  Pair luns{"g", setup};
  luns.from.spy->gate.reset();
  const Bytes8 list = from_source({{0, 0, 8}});
  for (Nanoseconds passed{}; passed < setup.config.busy_for + 30s; passed += 2s) {
    const Answer answer = luns.copy(list);
    assert_false(answer.ended);
    luns.run_for(2s);
    const Answer later = luns.to.look();
    assert_true(later.ended && later.status == scsi::Status::busy);
    assert_false(luns.to.lun->task_set()->holding());
  }
  luns.to.spy->gate.reset();
  assert_false(luns.to.send(read_one, Bytes8(block)).ended);
  luns.run_for(2s);
  const Answer read = luns.to.look();
  assert_true(read.ended && read.status == scsi::Status::busy);
}

// BUSY was not believed any more at its deadline, because its LUN was to blame.
void one_that_was_held_is_answered_when_it_waits_for_its_source(void**) {
  lun::LunSetup target = setup_of("to", "g");
  target.config.busy_for = 1s;
  target.config.stall_after = 60s;
  Pair luns{setup_of("from", "g"), target};
  luns.to.spy->gate.reset();
  assert_false(luns.copy(from_source({{0, 0, 8}, {100, 200, 8}})).ended);
  luns.run_for(3s);
  assert_false(luns.to.look().ended);
  luns.from.spy->gate.reset();
  luns.to.spy->gate.set();
  luns.run();
  const Answer answer = luns.to.look();
  assert_true(answer.ended && answer.status == scsi::Status::busy);
}

// What waits for another LUN takes up the window of a stalled one as all else does.
void copies_are_shed_when_their_own_lun_stalls(void**) {
  lun::LunSetup target = setup_of("to", "g");
  target.config.deadline = 20s;
  target.config.stall_after = 500ms;
  target.config.stall_window = 4;
  Pair luns{setup_of("from", "g"), target};
  luns.from.spy->gate.reset();
  luns.to.spy->gate.reset();
  assert_false(luns.to.send(read_one, Bytes8(block)).ended);
  const Bytes8 list = from_source({{0, 0, 8}});
  for (int i = 0; i < 8; ++i) {
    assert_false(luns.copy(list).ended);
  }
  luns.run_for(1s);
  assert_true(luns.to.lun->task_set()->stalled());
  assert_int_equal(luns.to.lun->task_set()->unanswered(), 4);
}

// Its first commands came while it was becoming ready.
void a_lun_that_was_becoming_ready_may_be_offered(void**) {
  lun::CopyOffers offers;
  LunRig from{setup_of("from", "g"), false, &offers};
  from.serial = source_serial;
  (void)from.send(test_unit_ready);
  const scsi::Naa naa = scsi::naa_of(source_serial);
  from.lun->offer_to_copies({});
  assert_null(offers.find("g", naa, nullptr).get());
  from.lun->use(from.make_store(setup_of("from", "g")));
  from.lun->offer_to_copies("a name that does not count");
  assert_non_null(offers.find("g", naa, nullptr).get());
}

void a_retry_copies_once_the_source_answers_again(void**) {
  Pair luns;
  luns.from.store_bytes(0, pattern(8 * block));
  luns.from.spy->gate.reset();
  for (int i = 0; i < 6; ++i) {  // more often than the source reads at once
    assert_false(luns.copy(from_source({{0, 0, 8}})).ended);
    luns.run_for(3s);
    assert_true(luns.to.look().status == scsi::Status::busy);
  }
  assert_int_equal(luns.from.spy->running(), io::ScratchPool::buffer_count);
  luns.from.spy->gate.set();
  luns.run();
  assert_int_equal(luns.from.spy->running(), 0);
  // What nobody waits for any more, and was not at the store, is not read.
  assert_int_equal(luns.from.spy->ops.size(), io::ScratchPool::buffer_count);
  assert_true(luns.copy(from_source({{0, 0, 8}})).good());
  assert_true(luns.has(0, pattern(8 * block)));
}

void a_source_that_closes_aborts_the_copy(void**) {
  Pair luns;
  luns.from.spy->gate.reset();
  luns.from.spy->cancellable = true;
  assert_false(luns.copy(from_source({{0, 0, 8}})).ended);
  luns.from.close();
  luns.run();
  assert_true(unreachable(luns.to.look()));
  assert_true(luns.from.lun->is_gone());
  assert_true(unreachable(luns.copy(from_source({{0, 0, 8}}))));
}

// Two threads, and a source that closes while it is asked.
void each_lun_may_have_a_thread_of_its_own(void**) {
  for (int life = 0; life < 20; ++life) {
    Pair luns;
    const Bytes8 data = pattern(8 * block);
    luns.from.store_bytes(0, data);
    std::atomic<int> copies{0};
    std::thread other{[&] {
      while (copies.load() < 50) {
        luns.from.sim.run_ready();
      }
      luns.from.close();
      while (!luns.from.lun->is_gone()) {
        luns.from.sim.run_for(1ms);
      }
    }};
    const Bytes8 list = from_source({{0, 0, 8}});
    bool there = true;
    while (there) {
      Answer answer = luns.to.send(copy_cdb(list.size()), list);
      while (!answer.ended) {
        luns.to.sim.run_ready();
        answer = luns.to.look();
      }
      there = answer.good();
      ++copies;
    }
    other.join();
    assert_true(copies > 50);
    assert_true(luns.has(0, data));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_blocks_of_another_lun_are_copied),
      cmocka_unit_test(one_list_reads_from_both),
      cmocka_unit_test(without_its_group_it_is_not_reachable),
      cmocka_unit_test(no_other_lun_is_written),
      cmocka_unit_test(blocks_of_another_size_are_refused),
      cmocka_unit_test(beyond_its_end_the_copy_is_aborted),
      cmocka_unit_test(two_luns_of_one_name_are_not_reachable),
      cmocka_unit_test(a_lun_that_had_no_command_yet_may_be_offered),
      cmocka_unit_test(a_bad_block_of_it_is_said_to_be_its),
      cmocka_unit_test(a_stopped_lun_is_not_copied_from),
      cmocka_unit_test(a_source_that_hangs_holds_up_nothing_but_the_copy),
      cmocka_unit_test(blocks_that_come_too_late_are_not_moved),
      cmocka_unit_test(a_read_that_nobody_waits_for_is_cancelled_at_the_store),
      cmocka_unit_test(the_log_names_the_lun_that_is_waited_for),
      cmocka_unit_test(copies_within_the_lun_go_on_meanwhile),
      cmocka_unit_test(a_source_that_hangs_is_no_trouble_of_the_lun),
      cmocka_unit_test(one_that_was_held_is_answered_when_it_waits_for_its_source),
      cmocka_unit_test(copies_are_shed_when_their_own_lun_stalls),
      cmocka_unit_test(a_lun_that_was_becoming_ready_may_be_offered),
      cmocka_unit_test(a_retry_copies_once_the_source_answers_again),
      cmocka_unit_test(a_source_that_closes_aborts_the_copy),
      cmocka_unit_test(each_lun_may_have_a_thread_of_its_own),
  };
  return cmocka_run_group_tests_name("copy_offers", tests, nullptr, nullptr);
}
