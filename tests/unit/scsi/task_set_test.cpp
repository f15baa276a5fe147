// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/task_set.h"

#include "tests/unit/scsi/task_set_rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;
using scsi::Status;
using test::Bytes8;
using test::Sent;
using test::TaskSetRig;

namespace {

void a_healthy_command_is_answered_with_its_data(void**) {
  TaskSetRig rig;
  assert_true(rig.write(8, 3).good());
  const Sent& back = rig.read(8);
  assert_true(back.good());
  assert_true(back.buffer.bytes() == test::pattern(8 * 512, 3));
  assert_int_equal(back.command.transferred, 8 * 512);
}

void a_command_without_a_medium_is_answered_whatever_the_backend_does(void**) {
  TaskSetRig rig;
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(10s);
  assert_true(rig.tasks->stalled());
  assert_true(rig.send(test::cdb_of(0x00, 0, 0, 0)).good());
}

void a_frozen_write_is_answered_busy_just_before_its_deadline(void**) {
  TaskSetRig rig;
  rig.freeze();
  Sent& write = rig.write(0, 1);
  rig.wait(19s);
  assert_int_equal(write.answers, 0);
  rig.wait(1s);
  assert_true(write.busy());
  assert_true(write.answered.since_start <= 20s);
  assert_int_equal(rig.tasks->orphans(), 1);
  rig.thaw();
  assert_int_equal(rig.tasks->orphans(), 0);
  assert_int_equal(write.answers, 1);
}

void one_that_can_be_cancelled_leaves_no_orphan(void**) {
  TaskSetRig rig;
  rig.spy->cancellable = true;
  rig.freeze();
  const Sent& write = rig.write(0, 1);
  rig.wait(20s);
  assert_true(write.busy());
  assert_int_equal(rig.tasks->orphans(), 0);
  assert_int_equal(rig.counters().cancelled, 1);
}

void one_that_waits_for_its_turn_never_reaches_the_backend(void**) {
  TaskSetRig rig{{{.stall_after = 19s}}, {}, {.queue_depth = 1}};
  rig.freeze();
  (void)rig.write(0, 1);
  const Sent& second = rig.write(100, 2);
  rig.wait(20s);
  assert_true(second.busy());
  rig.thaw();
  assert_int_equal(rig.backend_writes(), 1);
}

void what_overlaps_an_orphan_waits_behind_it(void**) {
  TaskSetRig rig;
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(20s);
  Sent& newer = rig.write(4, 2);
  Sent& reader = rig.read(0, 1);
  rig.wait(1s);
  assert_int_equal(rig.spy->running(), 1);  // the orphan alone
  rig.thaw();
  assert_true(newer.good() && reader.good());
  const auto stored = rig.stored(4 * 512, 8 * 512);
  assert_true(stored == test::pattern(8 * 512, 2));
}

void a_retry_takes_over_the_orphans_result(void**) {
  TaskSetRig rig;
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(20s);
  Sent& retry = rig.write(0, 1);
  rig.wait(5s);
  assert_int_equal(retry.answers, 0);
  rig.thaw();
  assert_true(retry.good());
  assert_int_equal(rig.backend_writes(), 1);
  assert_int_equal(rig.counters().adoptions, 1);
}

void a_retry_whose_own_deadline_comes_is_answered_busy_and_the_next_adopts(void**) {
  TaskSetRig rig;
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(20s);
  Sent& second = rig.write(0, 1);
  rig.wait(20s);
  assert_true(second.busy());
  Sent& third = rig.write(0, 1);
  assert_int_equal(rig.tasks->orphans(), 1);
  rig.thaw();
  assert_true(third.good());
  assert_int_equal(rig.backend_writes(), 1);
}

void a_retry_that_differs_in_a_byte_does_the_work_itself(void**) {
  TaskSetRig rig;
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(20s);
  Bytes8 data = test::pattern(8 * 512, 1);
  data[4095] ^= 1;
  Sent& other = rig.send(test::cdb_of(0x2a, 0, 0, 8), data);
  rig.thaw();
  assert_true(other.good());
  assert_int_equal(rig.backend_writes(), 2);
  assert_true(rig.stored(0, 4096) == data);
}

void a_retry_of_an_orphan_that_failed_does_the_work_itself(void**) {
  TaskSetRig rig;
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(20s);
  Sent& retry = rig.write(0, 1);
  rig.spy->failures["write"] = IoStatus::medium_error;
  rig.thaw();
  assert_int_equal(rig.backend_writes(), 2);
  assert_int_equal(retry.answers, 1);
  assert_true(retry.status == Status::check_condition);
}

void a_read_adopts_when_nothing_has_changed(void**) {
  TaskSetRig rig;
  assert_true(rig.write(0, 7).good());
  rig.freeze();
  (void)rig.read(0);
  rig.wait(20s);
  Sent& retry = rig.read(0);
  rig.thaw();
  assert_true(retry.good());
  assert_true(retry.buffer.bytes() == test::pattern(4096, 7));
  assert_int_equal(rig.counters().adoptions, 1);
}

void a_read_does_not_adopt_over_a_change(void**) {
  TaskSetRig rig;
  rig.freeze();
  (void)rig.read(0);
  rig.wait(19s);
  Sent& write = rig.write(0, 5);  // beside the read, and under way when it is asked for again
  rig.wait(2s);
  (void)rig.read(0);
  assert_int_equal(rig.counters().adoption_refused, 1);
  rig.thaw();
  assert_true(write.good());
  assert_int_equal(rig.counters().adoptions, 0);
}

void a_flush_never_adopts(void**) {
  TaskSetRig rig{{}, test::like_a_file};
  rig.freeze();
  (void)rig.send(test::cdb_of(0x35, 0, 0, 0));
  rig.wait(20s);
  assert_int_equal(rig.tasks->orphans(), 1);
  Sent& again = rig.send(test::cdb_of(0x35, 0, 0, 0));
  rig.thaw();
  assert_true(again.good());
  assert_int_equal(std::count_if(rig.spy->ops.begin(), rig.spy->ops.end(),
                                 [](const test::BackendOp& op) { return op.name == "flush"; }),
                   2);
}

void compare_and_write_is_held_once_its_write_is_under_way(void**) {
  TaskSetRig rig;
  rig.spy->gate_after("read");
  Sent& swap = rig.compare_and_write();
  rig.wait(60s);
  assert_int_equal(swap.answers, 0);
  assert_int_equal(rig.counters().held, 1);
  rig.thaw();
  assert_true(swap.good());
}

void without_exclusive_ownership_changes_are_held_and_reads_are_not(void**) {
  TaskSetRig rig{{}, [](test::SpyBackend& spy) { spy.pretend().exclusive = false; }};
  rig.freeze();
  Sent& write = rig.write(0, 1);
  Sent& reader = rig.read(100);
  rig.wait(60s);
  assert_int_equal(write.answers, 0);
  assert_true(reader.busy());
  rig.thaw();
  assert_true(write.good());
}

void a_stalled_lun_sheds_down_to_its_window_youngest_first(void**) {
  TaskSetRig rig{{{.stall_window = 8}}};
  rig.freeze();
  for (std::uint64_t i = 0; i < 32; ++i) {
    (void)rig.write(i * 8, 1);
  }
  rig.wait(2900ms);
  assert_int_equal(rig.tasks->unanswered(), 32);
  rig.wait(400ms);
  assert_true(rig.tasks->stalled());
  assert_int_equal(rig.tasks->unanswered(), 8);
  for (std::size_t i = 0; i < 32; ++i) {
    assert_int_equal(rig.all[i].answers, i < 8 ? 0 : 1);
  }
  assert_true(rig.write(400, 1).busy());  // one too many
  rig.thaw();
  assert_false(rig.tasks->stalled());
  assert_int_equal(rig.tasks->unanswered(), 0);
  for (std::uint64_t i = 0; i < 32; ++i) {
    assert_true(rig.write(i * 8, 1).good());
  }
}

void a_stall_is_told_once_and_so_is_its_end(void**) {
  TaskSetRig rig;
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(2900ms);
  assert_string_equal(rig.told.c_str(), "");
  (void)rig.read(64);
  rig.wait(4s);
  assert_string_equal(rig.told.c_str(), " stalled by WRITE (10)");
  rig.thaw();
  assert_string_equal(rig.told.c_str(), " stalled by WRITE (10) recovered");
}

// It would tell a front end that has gone.
void a_lun_that_is_closed_tells_nothing_more(void**) {
  TaskSetRig rig;
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(4s);
  rig.told.clear();
  rig.shut();
  rig.thaw();
  assert_string_equal(rig.told.c_str(), "");
}

void a_lun_that_is_stalled_alone_keeps_what_an_initiator_sends(void**) {
  TaskSetRig rig;
  rig.freeze();
  for (std::uint64_t i = 0; i < 32; ++i) {
    (void)rig.write(i * 8, 1);
  }
  rig.wait(10s);
  assert_true(rig.tasks->stalled());
  assert_int_equal(rig.tasks->unanswered(), 32);
  assert_true(rig.write(400, 1).busy());
}

using Places = std::deque<scsi::StalledLuns::Place>;

void stalled_luns_share_the_room_as_others_come_and_go(void**) {
  TaskSetRig rig;
  rig.freeze();
  for (std::uint64_t i = 0; i < 32; ++i) {
    (void)rig.write(i * 8, 1);
  }
  rig.wait(4s);
  assert_int_equal(rig.tasks->unanswered(), 32);
  Places others;
  others.emplace_back(rig.stalled_luns);
  rig.wait(500ms);
  assert_int_equal(rig.tasks->unanswered(), 16);
  for (int i = 0; i < 6; ++i) {
    others.emplace_back(rig.stalled_luns);
  }
  rig.wait(500ms);
  assert_int_equal(rig.tasks->unanswered(), 4);
  assert_true(rig.write(400, 1).busy());
  others.clear();
  assert_int_equal(rig.write(400, 1).answers, 0);
  rig.thaw();
  assert_int_equal(rig.stalled_luns.count(), 0);
}

void a_lun_stalls_sooner_while_others_are_stalled(void**) {
  TaskSetRig rig;
  const scsi::StalledLuns::Place other{rig.stalled_luns};
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(900ms);
  assert_false(rig.tasks->stalled());
  rig.wait(200ms);
  assert_true(rig.tasks->stalled());
}

void one_that_is_late_already_stalls_as_soon_as_another_does(void**) {
  TaskSetRig rig;
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(2s);
  assert_false(rig.tasks->stalled());
  const scsi::StalledLuns::Place other{rig.stalled_luns};
  rig.wait(scsi::TaskSet::share_interval);
  assert_true(rig.tasks->stalled());
}

void a_closed_lun_has_no_share(void**) {
  TaskSetRig rig;
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(4s);
  assert_int_equal(rig.stalled_luns.count(), 1);
  rig.shut();
  rig.wait(10s);
  assert_int_equal(rig.stalled_luns.count(), 0);
}

// As Linux: asks again when it is told BUSY.
std::size_t ask_again_until(TaskSetRig& rig, TimePoint until, Sent** last) {
  std::size_t busy = 0;
  while (rig.clock.now() < until) {
    rig.wait(100ms);
    if ((*last)->busy()) {
      ++busy;
      *last = &rig.write(0, 1);
    }
  }
  return busy;
}

void busy_ends_before_an_initiator_stops_believing_it(void**) {
  TaskSetRig rig;
  rig.freeze();
  Sent* last = &rig.write(0, 1);
  // Every 20 s; after the one at 119 s they would be too old.
  assert_int_equal(ask_again_until(rig, TimePoint{1h}, &last), 6);
  assert_true(rig.tasks->holding());
  assert_int_equal(last->answers, 0);
  const Sent& newcomer = rig.read(100);
  rig.wait(10min);
  assert_int_equal(newcomer.answers, 0);
  rig.thaw();
  assert_true(last->good() && newcomer.good());
}

void a_lun_that_holds_sheds_nothing(void**) {
  TaskSetRig rig{{{.stall_window = 2, .busy_for = 30s}}};
  rig.freeze();
  Sent* last = &rig.write(0, 1);
  (void)ask_again_until(rig, TimePoint{60s}, &last);
  for (std::uint64_t i = 1; i < 20; ++i) {
    (void)rig.write(i * 8, 1);
  }
  rig.wait(100s);
  assert_int_equal(rig.tasks->unanswered(), 20);
  rig.thaw();
  assert_int_equal(rig.tasks->unanswered(), 0);
}

bool any(const scsi::Command&) {
  return true;
}

void what_is_held_is_aborted_at_once_and_its_retry_adopts(void**) {
  TaskSetRig rig{{{.busy_for = 10s}}};
  rig.freeze();
  Sent& held = rig.write(0, 1);
  rig.wait(60s);
  assert_int_equal(held.answers, 0);
  assert_int_equal(rig.tasks->abort(any), 1);
  rig.wait(scsi::TaskSet::cancel_grace);
  assert_true(held.busy());
  const Sent& retry = rig.write(0, 1);
  rig.wait(60s);
  assert_int_equal(retry.answers, 0);
  rig.thaw();
  assert_true(retry.good());
  assert_int_equal(rig.backend_writes(), 1);
}

void a_command_that_is_aborted_alone_is_answered_within_the_grace(void**) {
  TaskSetRig rig{{}};
  rig.freeze();
  Sent& frozen = rig.write(0, 1);
  rig.wait(10ms);
  assert_int_equal(rig.tasks->abort(any), 1);
  rig.wait(scsi::TaskSet::cancel_grace);
  assert_true(frozen.busy());
  rig.thaw();
}

void commands_wait_for_a_limit_and_say_so(void**) {
  TaskSetRig rig{{{.max_iops = 1, .burst = 1ms}}};
  assert_true(rig.write(0, 1).good());
  Sent& second = rig.read(0);
  Sent& flush = rig.send({0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  assert_int_equal(second.answers, 0);
  assert_true(flush.good());
  watch::LunSnapshot snapshot;
  rig.tasks->describe({.in_flight = true}, &snapshot);
  assert_true(snapshot.in_flight.at(0).stage == watch::Stage::limit);
  rig.wait(1s);
  assert_true(second.good());
}

void a_command_that_a_limit_lets_wait_for_too_long_is_answered_busy(void**) {
  TaskSetRig rig{{{.deadline = 2s, .stall_after = 1s, .max_iops = 1, .burst = 1ms}}};
  for (int i = 0; i < 5; ++i) {
    (void)rig.write(0, 1);
  }
  rig.wait(2s);
  assert_true(rig.all[1].good());
  assert_true(rig.all[4].busy());
  assert_int_equal(rig.counters().orphaned, 0);
}

void trouble_is_over_once_nobody_needed_busy_for_a_deadline(void**) {
  TaskSetRig rig;
  rig.freeze();
  Sent* last = &rig.write(0, 1);
  (void)ask_again_until(rig, TimePoint{130s}, &last);
  assert_true(rig.tasks->holding());
  rig.thaw();
  rig.wait(21s);
  assert_true(rig.write(8, 1).good());  // the LUN does nothing by itself
  rig.wait(1s);
  rig.freeze();
  const Sent& later = rig.write(16, 1);
  rig.wait(20s);
  assert_false(rig.tasks->holding());
  assert_true(later.busy());
}

// The retry of one that was answered BUSY in the first may be older than it looks.
void a_short_thaw_does_not_end_it(void**) {
  TaskSetRig rig;
  rig.freeze();
  Sent* last = &rig.write(0, 1);
  (void)ask_again_until(rig, TimePoint{110s}, &last);
  rig.thaw();
  rig.wait(5s);
  rig.freeze();
  const Sent& later = rig.write(16, 1);
  rig.wait(60s);
  assert_int_equal(later.answers, 0);
}

void a_front_end_that_answers_by_itself_bounds_the_hold(void**) {
  TaskSetRig rig{{{.busy_for = 10s}, 28s}};
  rig.freeze();
  const Sent& held = rig.write(0, 1);
  rig.wait(27s);
  assert_int_equal(held.answers, 0);
  rig.wait(1s);
  assert_true(held.busy());
  assert_true(held.answered <= TimePoint{28s});
}

// Nobody may repeat it, and nobody knows what became of it.
void assert_outcome_unknown(const Sent& sent) {
  assert_int_equal(sent.answers, 1);
  assert_true(sent.status == Status::check_condition);
  assert_int_equal(sent.sense[2] & 0x0f, 0x4);
  assert_int_equal(sent.sense[12], 0x44);
}

void a_compare_and_write_that_is_cut_off_by_closing_is_not_asked_for_again(void**) {
  TaskSetRig rig;
  rig.spy->gate_after("read");
  const Sent& swap = rig.compare_and_write();
  rig.wait(60s);
  rig.shut();
  rig.wait(1s);
  assert_outcome_unknown(swap);
}

void nor_is_one_that_ends_because_it_is_told_to(void**) {
  TaskSetRig rig;
  rig.spy->cancellable = true;
  rig.spy->gate_after("read");
  const Sent& swap = rig.compare_and_write();
  rig.shut();
  assert_outcome_unknown(swap);
}

void nor_is_a_change_of_a_store_that_others_may_write_to(void**) {
  TaskSetRig rig{{}, [](test::SpyBackend& spy) { spy.pretend().exclusive = false; }};
  rig.freeze();
  const Sent& held = rig.write(0, 1);
  rig.wait(60s);
  const Sent& young = rig.write(100, 1);
  const Sent& reader = rig.read(200);
  rig.shut();
  rig.wait(1s);
  assert_outcome_unknown(held);
  assert_outcome_unknown(young);
  assert_true(reader.busy());
}

void a_store_that_is_lost_ends_every_command_that_needs_it(void**) {
  TaskSetRig rig;
  rig.spy->gate_after("read");
  const Sent& swap = rig.compare_and_write();
  const Sent& write = rig.write(64, 1);
  const Sent& behind = rig.write(64, 2);
  rig.shared.gate.reset();
  const Sent& move = rig.stand_by();
  rig.tasks->end_all();
  rig.wait(scsi::TaskSet::cancel_grace);
  assert_true(write.busy() && behind.busy());
  assert_outcome_unknown(swap);
  assert_int_equal(move.answers, 0);
  rig.shared.gate.set();
  rig.run();
  assert_true(move.good());
  assert_true(rig.shared.now == backend::Access::standby);
}

void a_stalled_lun_can_be_told_to_give_its_store_away(void**) {
  scsi::TaskSetLimits limits;
  limits.stall_window = 2;
  TaskSetRig rig{limits};
  rig.freeze();
  rig.shared.gate.reset();
  for (std::uint64_t i = 0; i < 4; ++i) {
    (void)rig.write(i * 8, 1);
  }
  const Sent& before = rig.stand_by();
  rig.wait(limits.stall_after + 1s);
  assert_true(rig.tasks->stalled());
  const Sent& after = rig.stand_by();
  assert_int_equal(before.answers + after.answers, 0);
  rig.shared.gate.set();
  rig.run();
  assert_true(before.good() && after.good());
}

void slow_requests_are_told_when_they_pass_the_threshold_and_when_they_end(void**) {
  TaskSetRig rig;
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(900ms);
  assert_int_equal(rig.slow_log.begun(), 0);
  rig.wait(200ms);
  assert_int_equal(rig.slow_log.begun(), 1);
  rig.thaw();
  assert_int_equal(rig.slow_log.recent().size(), 1);
  assert_string_equal(rig.slow_log.recent()[0].ending.status, "GOOD");
}

void limits_change_while_commands_run(void**) {
  TaskSetRig rig;
  rig.freeze();
  const Sent& write = rig.write(0, 1);
  rig.wait(1s);
  rig.tasks->set_limits({{.deadline = 2s, .slow = 100ms, .stall_after = 1s, .stall_window = 4}});
  rig.run();
  rig.wait(1s);
  assert_true(write.busy());
}

void no_memory_for_data_is_waited_for_and_given_up_in_time(void**) {
  TaskSetRig rig{{{.stall_after = 19s}}};
  rig.freeze();
  for (std::uint64_t i = 0; i < 8; ++i) {
    (void)rig.write(i * 1024, 1, 1024);  // half a MiB each; sixteen of them fill the pool
  }
  for (std::uint64_t i = 0; i < 12; ++i) {
    (void)rig.read(i * 512, 1024);
  }
  rig.wait(20s);
  for (const Sent& sent : rig.all) {
    assert_true(sent.busy());
  }
  rig.thaw();
  rig.wait(1s);
  assert_int_equal(rig.tasks->orphans(), 0);
  assert_int_equal(rig.buffers->stats().in_use_bytes, 0);
}

void shutting_answers_everything_and_drained_waits_for_the_orphans(void**) {
  TaskSetRig rig;
  rig.freeze();
  const Sent& write = rig.write(0, 1);
  struct Closing {
    static co::Task<void> close(scsi::TaskSet& tasks, bool* shut, bool* drained) {
      co_await tasks.shut();
      *shut = true;
      co_await tasks.drained();
      *drained = true;
    }
  };
  bool shut = false;
  bool drained = false;
  rig.group.spawn("closing", Closing::close(*rig.tasks, &shut, &drained));
  rig.wait(1s);
  assert_true(write.busy());
  assert_true(shut);
  assert_false(drained);
  assert_true(rig.write(8, 1).busy());
  rig.thaw();
  assert_true(drained);
  rig.tasks.reset();
  rig.tasks = std::make_unique<scsi::TaskSet>(*rig.disk, rig, *rig.buffers, rig.slow_log,
                                              rig.stalled_luns, scsi::TaskSetLimits{});
}

void a_mode_change_ends_adoption(void**) {
  TaskSetRig rig{{}, test::like_a_file};
  rig.freeze();
  (void)rig.write(0, 1);
  rig.wait(20s);
  // MODE SELECT (6) of the Caching page as it is: answered at once. (Turning WCE off would wait for
  // the orphan.)
  Bytes8 list(4 + 20);
  list[4] = 0x08;
  list[5] = 0x12;
  list[6] = 0x04;
  Sent& select = rig.send(Bytes8{0x15, 0x10, 0, 0, 24, 0}, list);
  assert_true(select.good());
  Sent& retry = rig.write(0, 1);
  rig.thaw();
  assert_true(retry.good());
  assert_int_equal(rig.counters().adoptions, 0);
  assert_int_equal(rig.backend_writes(), 2);
}

// --- what takes effect late
// ------------------------------------------------------------------------

Sent& synchronize_cache(TaskSetRig& rig) {
  return rig.send(test::cdb_of(0x35, 0, 0, 0));
}

bool write_error(const Sent& sent) {
  return sent.answers == 1 && sent.status == Status::check_condition && sent.sense[2] == 0x03 &&
         sent.sense[12] == 0x0c;
}

void a_flush_that_fails_as_an_orphan_fails_its_retry(void**) {
  TaskSetRig rig;
  assert_true(rig.write(0, 1).good());
  rig.freeze();
  const Sent& flush = synchronize_cache(rig);
  rig.wait(20s);
  assert_true(flush.busy());
  rig.spy->failures["flush"] = IoStatus::medium_error;
  rig.thaw();
  rig.spy->failures.clear();
  assert_true(write_error(synchronize_cache(rig)));
  assert_true(synchronize_cache(rig).good());
}

void a_flush_that_fails_in_the_grace_fails_the_next(void**) {
  TaskSetRig rig;
  rig.freeze();
  const Sent& flush = synchronize_cache(rig);
  rig.wait(20s - 100ms);
  assert_int_equal(flush.answers, 0);
  rig.spy->failures["flush"] = IoStatus::medium_error;
  rig.thaw();
  rig.spy->failures.clear();
  assert_true(flush.busy());
  assert_true(write_error(synchronize_cache(rig)));
}

const Bytes8 start = {0x1b, 0, 0, 0, 1, 0};
const Bytes8 stop = {0x1b, 0, 0, 0, 0, 0};

bool is_stopped(TaskSetRig& rig) {
  return !rig.send(test::cdb_of(0x00, 0, 0, 0)).good();
}

void a_late_stop_does_not_undo_a_start_that_came_after_it(void**) {
  TaskSetRig rig;
  rig.freeze();
  const Sent& stopping = rig.send(stop);
  assert_true(rig.send(start).good());
  rig.thaw();
  assert_true(stopping.good());
  assert_false(is_stopped(rig));
  assert_true(rig.send(stop).good());
  assert_true(is_stopped(rig));
}

void a_stop_that_was_answered_busy_has_no_effect(void**) {
  TaskSetRig rig;
  rig.freeze();
  const Sent& stopping = rig.send(stop);
  rig.wait(20s);
  assert_true(stopping.busy());
  rig.thaw();
  assert_false(is_stopped(rig));
}

Sent& set_write_cache(TaskSetRig& rig, bool on) {
  Bytes8 list(4 + 20);
  list[4] = 0x08;
  list[5] = 0x12;
  list[6] = on ? 0x04 : 0x00;
  return rig.send({0x15, 0x10, 0, 0, 24, 0}, list);
}

bool has_write_cache(TaskSetRig& rig) {
  const Sent& sense = rig.send({0x1a, 0x08, 0x08, 0, 64, 0}, Bytes8(64));
  return (sense.buffer.bytes()[4 + 2] & 0x04) != 0;
}

std::size_t flushes(const TaskSetRig& rig) {
  return static_cast<std::size_t>(
      std::count_if(rig.spy->ops.begin(), rig.spy->ops.end(),
                    [](const test::BackendOp& op) { return op.name == "flush"; }));
}

void turning_the_write_cache_off_flushes_it(void**) {
  TaskSetRig rig{{}, test::like_a_file};
  assert_true(has_write_cache(rig));
  assert_true(rig.write(0, 1).good());
  rig.freeze();
  const Sent& off = set_write_cache(rig, false);
  assert_int_equal(off.answers, 0);
  assert_int_equal(flushes(rig), 1);
  rig.thaw();
  assert_true(off.good());
  assert_false(has_write_cache(rig));
  assert_true(set_write_cache(rig, false).good());
  assert_true(set_write_cache(rig, true).good());
  assert_int_equal(flushes(rig), 1);
}

void a_write_cache_that_cannot_be_flushed_stays_on(void**) {
  TaskSetRig rig{{}, test::like_a_file};
  rig.spy->failures["flush"] = IoStatus::medium_error;
  assert_true(write_error(set_write_cache(rig, false)));
  assert_true(has_write_cache(rig));
}

void a_write_that_comes_while_the_cache_is_turned_off_is_durable(void**) {
  TaskSetRig rig{{}, test::like_a_file};
  rig.freeze();
  const Sent& off = set_write_cache(rig, false);
  const Sent& write = rig.write(0, 1);
  rig.thaw();
  assert_true(off.good() && write.good());
  assert_int_equal(flushes(rig), 2);
}

void a_write_under_way_is_flushed_before_the_cache_is_off(void**) {
  TaskSetRig rig{{}, test::like_a_file};
  rig.freeze();
  const Sent& write = rig.write(0, 1);
  const Sent& off = set_write_cache(rig, false);
  assert_int_equal(flushes(rig), 0);
  rig.thaw();
  assert_true(off.good() && write.good());
  assert_int_equal(flushes(rig), 1);
}

void turning_the_cache_off_late_does_not_undo_turning_it_on(void**) {
  TaskSetRig rig{{}, test::like_a_file};
  rig.freeze();
  const Sent& off = set_write_cache(rig, false);
  assert_true(set_write_cache(rig, true).good());
  rig.thaw();
  assert_true(off.good());
  assert_true(has_write_cache(rig));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_healthy_command_is_answered_with_its_data),
      cmocka_unit_test(a_command_without_a_medium_is_answered_whatever_the_backend_does),
      cmocka_unit_test(a_frozen_write_is_answered_busy_just_before_its_deadline),
      cmocka_unit_test(one_that_can_be_cancelled_leaves_no_orphan),
      cmocka_unit_test(one_that_waits_for_its_turn_never_reaches_the_backend),
      cmocka_unit_test(what_overlaps_an_orphan_waits_behind_it),
      cmocka_unit_test(a_retry_takes_over_the_orphans_result),
      cmocka_unit_test(a_retry_whose_own_deadline_comes_is_answered_busy_and_the_next_adopts),
      cmocka_unit_test(a_retry_that_differs_in_a_byte_does_the_work_itself),
      cmocka_unit_test(a_retry_of_an_orphan_that_failed_does_the_work_itself),
      cmocka_unit_test(a_read_adopts_when_nothing_has_changed),
      cmocka_unit_test(a_read_does_not_adopt_over_a_change),
      cmocka_unit_test(a_flush_never_adopts),
      cmocka_unit_test(compare_and_write_is_held_once_its_write_is_under_way),
      cmocka_unit_test(without_exclusive_ownership_changes_are_held_and_reads_are_not),
      cmocka_unit_test(a_stalled_lun_sheds_down_to_its_window_youngest_first),
      cmocka_unit_test(a_stall_is_told_once_and_so_is_its_end),
      cmocka_unit_test(a_lun_that_is_closed_tells_nothing_more),
      cmocka_unit_test(a_lun_that_is_stalled_alone_keeps_what_an_initiator_sends),
      cmocka_unit_test(stalled_luns_share_the_room_as_others_come_and_go),
      cmocka_unit_test(a_lun_stalls_sooner_while_others_are_stalled),
      cmocka_unit_test(one_that_is_late_already_stalls_as_soon_as_another_does),
      cmocka_unit_test(a_closed_lun_has_no_share),
      cmocka_unit_test(busy_ends_before_an_initiator_stops_believing_it),
      cmocka_unit_test(a_lun_that_holds_sheds_nothing),
      cmocka_unit_test(what_is_held_is_aborted_at_once_and_its_retry_adopts),
      cmocka_unit_test(a_command_that_is_aborted_alone_is_answered_within_the_grace),
      cmocka_unit_test(commands_wait_for_a_limit_and_say_so),
      cmocka_unit_test(a_command_that_a_limit_lets_wait_for_too_long_is_answered_busy),
      cmocka_unit_test(trouble_is_over_once_nobody_needed_busy_for_a_deadline),
      cmocka_unit_test(a_short_thaw_does_not_end_it),
      cmocka_unit_test(a_front_end_that_answers_by_itself_bounds_the_hold),
      cmocka_unit_test(a_compare_and_write_that_is_cut_off_by_closing_is_not_asked_for_again),
      cmocka_unit_test(nor_is_one_that_ends_because_it_is_told_to),
      cmocka_unit_test(nor_is_a_change_of_a_store_that_others_may_write_to),
      cmocka_unit_test(a_store_that_is_lost_ends_every_command_that_needs_it),
      cmocka_unit_test(a_stalled_lun_can_be_told_to_give_its_store_away),
      cmocka_unit_test(slow_requests_are_told_when_they_pass_the_threshold_and_when_they_end),
      cmocka_unit_test(limits_change_while_commands_run),
      cmocka_unit_test(no_memory_for_data_is_waited_for_and_given_up_in_time),
      cmocka_unit_test(shutting_answers_everything_and_drained_waits_for_the_orphans),
      cmocka_unit_test(a_mode_change_ends_adoption),
      cmocka_unit_test(a_flush_that_fails_as_an_orphan_fails_its_retry),
      cmocka_unit_test(a_flush_that_fails_in_the_grace_fails_the_next),
      cmocka_unit_test(a_late_stop_does_not_undo_a_start_that_came_after_it),
      cmocka_unit_test(a_stop_that_was_answered_busy_has_no_effect),
      cmocka_unit_test(turning_the_write_cache_off_flushes_it),
      cmocka_unit_test(a_write_cache_that_cannot_be_flushed_stays_on),
      cmocka_unit_test(a_write_that_comes_while_the_cache_is_turned_off_is_durable),
      cmocka_unit_test(a_write_under_way_is_flushed_before_the_cache_is_off),
      cmocka_unit_test(turning_the_cache_off_late_does_not_undo_turning_it_on),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
