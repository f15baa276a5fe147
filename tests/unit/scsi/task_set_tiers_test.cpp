// SPDX-License-Identifier: Apache-2.0
// The task set over a volume with a log: each tier stalls on its own.
#include "lib/scsi/task_set.h"

#include "tests/unit/scsi/task_set_rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;
using scsi::Status;
using test::Sent;
using volume::Tier;

namespace {

struct HasLog {
  test::SpyLog log;
};

scsi::TaskSetLimits with_window(std::uint32_t window) {
  return {{.stall_window = window}};
}

// The spy plays both devices: each operation waits at the gate of its tier.
class TiersRig : public HasLog, public test::TaskSetRig {
 public:
  explicit TiersRig(const scsi::TaskSetLimits& limits, std::size_t queue_depth = 128)
      : TaskSetRig{limits,
                   [this](test::SpyBackend& both) { both.coverage = &log; },
                   {.queue_depth = queue_depth}},
        log_gate{executor} {
    log_gate.set();
    spy->gate_of = [this](const test::BackendOp& op) -> co::Event& {
      const bool in_log =
          op.name == "read" ? op.offset + op.length <= log.covered_blocks * 512 : log.takes;
      return in_log ? log_gate : spy->gate;
    };
  }
  TiersRig(const TiersRig&) = delete;
  TiersRig& operator=(const TiersRig&) = delete;
  ~TiersRig() override {
    shut();
    spy->gate.set();
    log_gate.set();
    run();
    spy->gate_of = nullptr;
  }
  void freeze_log() { log_gate.reset(); }
  void thaw_log() {
    log_gate.set();
    run();
  }
  // Freezes the store, sends reads that miss the log, and waits for the stall.
  void stall_store(std::uint64_t reads) {
    freeze();
    for (std::uint64_t i = 0; i < reads; ++i) {
      (void)read(test::SpyLog::missing + i * 8);
    }
    wait(4s);
    assert_true(tasks->stalled(Tier::store));
    assert_false(tasks->stalled(Tier::log));
  }
  std::size_t busy() const {
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [](const Sent& sent) { return sent.busy(); }));
  }

 private:
  co::Event log_gate;
};

void a_stalled_store_lets_changes_and_covered_reads_go_on(void**) {
  TiersRig rig{with_window(2)};
  rig.stall_store(4);
  assert_int_equal(rig.busy(), 2);
  for (std::uint64_t i = 0; i < 40; ++i) {
    assert_true(rig.write(test::SpyLog::missing + i * 8, 1).good());
    assert_true(rig.read(i * 8).good());
  }
  assert_true(rig.send(test::cdb_of(0x35, 0, 0, 0)).good());  // SYNCHRONIZE CACHE
  assert_true(rig.send(test::cdb_of(0x93, 0, 0, 8), test::Bytes8(512)).good());  // WRITE SAME
  assert_true(rig.send(test::cdb_of(0x2f, 0, 0, 8)).good());                     // VERIFY
  assert_true(rig.send(test::cdb_of(0x1b, 0, 0, 1)).good());                     // START STOP UNIT
  assert_int_equal(rig.tasks->unanswered(), 2);
  assert_true(rig.read(test::SpyLog::missing + 800).busy());
  rig.thaw();
  assert_false(rig.tasks->stalled());
  assert_true(rig.read(test::SpyLog::missing + 800).good());
}

void a_stalled_log_lets_reads_of_the_store_go_on(void**) {
  TiersRig rig{with_window(2)};
  rig.freeze_log();
  for (std::uint64_t i = 0; i < 4; ++i) {
    (void)rig.write(i * 8, 1);
  }
  rig.wait(4s);
  assert_true(rig.tasks->stalled(Tier::log));
  assert_false(rig.tasks->stalled(Tier::store));
  assert_int_equal(rig.busy(), 2);
  assert_true(rig.read(test::SpyLog::missing).good());
  assert_true(rig.read(800).busy());
  rig.thaw_log();
  assert_false(rig.tasks->stalled());
}

void shedding_takes_only_what_waits_for_the_stalled_tier(void**) {
  TiersRig rig{with_window(2)};
  rig.freeze();
  Sent& oldest = rig.read(test::SpyLog::missing);
  Sent& second = rig.read(test::SpyLog::missing + 8);
  Sent& youngest = rig.read(test::SpyLog::missing + 16);
  rig.wait(2900ms);
  rig.freeze_log();
  std::vector<Sent*> writes;
  for (std::uint64_t i = 0; i < 6; ++i) {
    writes.push_back(&rig.write(i * 8, 1));
  }
  rig.wait(400ms);
  assert_true(rig.tasks->stalled(Tier::store));
  assert_true(youngest.busy());
  assert_int_equal(oldest.answers + second.answers, 0);
  assert_int_equal(rig.busy(), 1);
  rig.thaw_log();
  for (const Sent* const write : writes) {
    assert_true(write->good());
  }
}

// An initiator that was answered BUSY for one of them sends nothing until the others are answered.
void what_waits_for_a_stalled_store_is_answered_busy_at_one_time(void**) {
  TiersRig rig{{}};
  rig.freeze();
  Sent& first = rig.read(test::SpyLog::missing);
  rig.wait(10s);
  Sent& second = rig.read(test::SpyLog::missing + 8);
  rig.wait(9s);
  Sent& third = rig.read(test::SpyLog::missing + 16);
  assert_int_equal(rig.busy(), 0);
  rig.wait(1100ms);
  assert_true(first.busy() && second.busy() && third.busy());
  assert_int_equal(rig.tasks->unanswered(), 0);
  assert_true(rig.write(0, 1).good());
}

// Without a log none could be carried out meanwhile.
void with_a_stalled_log_each_waits_for_its_own_deadline(void**) {
  TiersRig rig{{}};
  rig.freeze();
  rig.freeze_log();
  Sent& first = rig.read(test::SpyLog::missing);
  (void)rig.write(0, 1);
  rig.wait(10s);
  Sent& second = rig.read(test::SpyLog::missing + 8);
  rig.wait(10100ms);
  assert_true(first.busy());
  assert_false(second.busy());
}

void two_stalled_tiers_share_one_window_and_one_place(void**) {
  TiersRig rig{with_window(3)};
  rig.freeze();
  rig.freeze_log();
  for (std::uint64_t i = 0; i < 4; ++i) {
    (void)rig.write(i * 8, 1);
    (void)rig.read(test::SpyLog::missing + i * 8);
  }
  rig.wait(4s);
  assert_true(rig.tasks->stalled(Tier::store) && rig.tasks->stalled(Tier::log));
  assert_int_equal(rig.tasks->unanswered(), 3);
  assert_int_equal(rig.stalled_luns.count(), 1);
  rig.thaw_log();
  assert_true(rig.tasks->stalled(Tier::store) && !rig.tasks->stalled(Tier::log));
  assert_int_equal(rig.stalled_luns.count(), 1);
  rig.thaw();
  assert_false(rig.tasks->stalled());
  assert_int_equal(rig.stalled_luns.count(), 0);
  assert_int_equal(rig.counters().stalls, 2);
}

void a_command_that_needs_both_tiers_waits_for_the_store(void**) {
  TiersRig rig{with_window(2)};
  rig.stall_store(2);
  assert_true(rig.read(rig.log.covered_blocks - 4).busy());  // half of it is in the log
  assert_true(rig.compare_and_write(test::SpyLog::missing).busy());
  assert_true(rig.compare_and_write(0).good());
}

void what_needs_both_tiers_stalls_the_store_alone(void**) {
  TiersRig rig{with_window(2)};
  rig.freeze();
  const Sent& swap = rig.compare_and_write(test::SpyLog::missing);
  rig.wait(4s);
  assert_true(rig.tasks->stalled(Tier::store) && !rig.tasks->stalled(Tier::log));
  rig.thaw();
  assert_true(swap.good());
}

// Its fence holds them.
void what_waits_behind_a_stuck_command_is_shed_with_it(void**) {
  TiersRig rig{with_window(2)};
  rig.freeze();
  const Sent& swap = rig.compare_and_write(test::SpyLog::missing);
  for (std::uint64_t i = 0; i < 5; ++i) {
    (void)rig.write(test::SpyLog::missing, static_cast<std::uint8_t>(i));
  }
  rig.wait(2s);
  assert_int_equal(rig.busy(), 0);
  rig.wait(2s);
  assert_int_equal(rig.busy(), 4);
  assert_int_equal(swap.answers, 0);
}

void a_command_behind_a_quick_one_is_not_shed(void**) {
  TiersRig rig{with_window(2)};
  rig.stall_store(2);
  rig.freeze_log();
  const Sent& first = rig.write(0, 1);
  const Sent& behind = rig.write(0, 2);
  rig.wait(500ms);
  assert_int_equal(first.answers + behind.answers, 0);
  rig.thaw_log();
  assert_true(first.good() && behind.good());
}

void each_shedding_asks_again_what_a_command_needs(void**) {
  TiersRig rig{with_window(2)};
  rig.stall_store(1);
  rig.freeze_log();
  for (std::uint64_t i = 0; i < 5; ++i) {
    (void)rig.write(0, static_cast<std::uint8_t>(i));  // all but the first wait behind a fence
  }
  rig.wait(500ms);
  assert_int_equal(rig.busy(), 0);
  rig.log.takes = false;  // it fails, for example
  rig.wait(500ms);
  assert_int_equal(rig.busy(), 4);
}

void a_read_that_hangs_counts_where_it_hangs(void**) {
  TiersRig rig{with_window(2)};
  rig.freeze();
  for (std::uint64_t i = 0; i < 4; ++i) {
    (void)rig.read(test::SpyLog::missing + i * 8);
  }
  rig.log.covered_blocks = test::SpyLog::missing + 800;  // they have been written since
  rig.wait(4s);
  assert_true(rig.tasks->stalled(Tier::store) && !rig.tasks->stalled(Tier::log));
  assert_int_equal(rig.busy(), 2);
  rig.thaw();
}

// What is there already then waits for the store to make room.
void a_change_in_a_log_that_is_full_waits_for_the_store(void**) {
  TiersRig rig{with_window(2)};
  rig.freeze_log();
  for (std::uint64_t i = 0; i < 4; ++i) {
    (void)rig.write(i * 8, 1);
  }
  rig.log.takes = false;
  rig.wait(4s);
  assert_true(rig.tasks->stalled(Tier::store) && !rig.tasks->stalled(Tier::log));
  assert_int_equal(rig.busy(), 2);
  rig.thaw_log();
}

void waiting_for_room_in_the_log_does_not_count_against_the_log(void**) {
  TiersRig rig{{}};
  rig.freeze_log();
  (void)rig.write(0, 1);
  rig.log.takes = false;
  rig.wait(4s);
  assert_true(rig.tasks->stalled(Tier::store));
  rig.log.takes = true;
  rig.wait(2s);
  assert_false(rig.tasks->stalled(Tier::log));
  rig.wait(2s);
  assert_true(rig.tasks->stalled(Tier::log));
  rig.thaw_log();
}

// When it began, the log had all of it. The log let a part of it go, and then got newer data.
void a_read_that_lost_its_place_in_the_log_waits_for_the_store(void**) {
  TiersRig rig{with_window(2)};
  rig.freeze_log();
  const Sent& read = rig.read(800);
  rig.log.reads_at_store = true;
  rig.wait(4s);
  assert_int_equal(read.answers, 0);
  assert_true(rig.tasks->stalled(Tier::store));
  assert_false(rig.tasks->stalled(Tier::log));
}

void a_full_queue_of_one_tier_does_not_hold_up_the_other(void**) {
  TiersRig rig{with_window(32), 2};
  rig.freeze();
  for (std::uint64_t i = 0; i < 5; ++i) {
    (void)rig.read(test::SpyLog::missing + i * 8);
  }
  assert_int_equal(rig.spy->running(), 2);
  assert_true(rig.write(test::SpyLog::missing + 800, 1).good());
  assert_true(rig.read(0).good());
}

void a_full_task_set_of_one_tier_has_room_for_the_other(void**) {
  TiersRig rig{{}};
  rig.freeze();
  const test::Bytes8 verify = test::cdb_of(0x2f, 0, test::SpyLog::missing, 8);
  for (std::size_t i = 0; i < scsi::TaskSet::most_commands; ++i) {
    assert_int_equal(rig.send(verify).answers, 0);
  }
  assert_true(rig.send(verify).status == Status::task_set_full);
  assert_true(rig.write(0, 1).good());
  rig.shut();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_stalled_store_lets_changes_and_covered_reads_go_on),
      cmocka_unit_test(a_stalled_log_lets_reads_of_the_store_go_on),
      cmocka_unit_test(shedding_takes_only_what_waits_for_the_stalled_tier),
      cmocka_unit_test(what_waits_for_a_stalled_store_is_answered_busy_at_one_time),
      cmocka_unit_test(with_a_stalled_log_each_waits_for_its_own_deadline),
      cmocka_unit_test(two_stalled_tiers_share_one_window_and_one_place),
      cmocka_unit_test(a_command_that_needs_both_tiers_waits_for_the_store),
      cmocka_unit_test(what_needs_both_tiers_stalls_the_store_alone),
      cmocka_unit_test(what_waits_behind_a_stuck_command_is_shed_with_it),
      cmocka_unit_test(a_command_behind_a_quick_one_is_not_shed),
      cmocka_unit_test(each_shedding_asks_again_what_a_command_needs),
      cmocka_unit_test(a_read_that_hangs_counts_where_it_hangs),
      cmocka_unit_test(a_change_in_a_log_that_is_full_waits_for_the_store),
      cmocka_unit_test(waiting_for_room_in_the_log_does_not_count_against_the_log),
      cmocka_unit_test(a_read_that_lost_its_place_in_the_log_waits_for_the_store),
      cmocka_unit_test(a_full_queue_of_one_tier_does_not_hold_up_the_other),
      cmocka_unit_test(a_full_task_set_of_one_tier_has_room_for_the_other),
  };
  return cmocka_run_group_tests_name("task_set_tiers", tests, nullptr, nullptr);
}
