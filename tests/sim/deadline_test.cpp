// SPDX-License-Identifier: Apache-2.0
// Deadlines, held commands, and the window of a stalled LUN, on a store that is frozen.
#include <string>
#include <vector>

#include "tests/sim/program.h"
#include "tests/sim/scenario.h"

// after the others
#include "tests/sim/assert_well.h"

using namespace ballast;
using namespace ballast::sim;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Range here{8, 4};

LunConfig shared_store() {
  LunConfig config;
  config.capabilities.exclusive = false;
  return config;
}

LunConfig never_stalled() {
  LunConfig config;
  config.limits.stall_after = seconds{1000};
  return config;
}

void what_the_store_cancels_is_over(void**) {
  Scene scene;
  scene.store().set_temper(Temper{.cancellable = 1000});
  const Issued& write = scene.orphan(write_wish(here, 1));
  assert_true(write.turned_away());
  assert_int_equal(scene.tasks().orphans(), 0);
  assert_true(scene.begin(write_wish(here, 2)).good());
  assert_well(scene.end());
}

void what_ends_in_the_grace_is_answered_as_it_ended(void**) {
  Scene scene;
  const Issued& write = scene.begin_frozen(write_wish(here, 1));
  scene.pass(scene.config().limits.deadline - milliseconds{100});
  assert_false(write.answered);
  scene.release(0);
  assert_true(write.good());
  assert_well(scene.end());
}

void reads_are_orphaned_on_any_store_and_changes_are_held(void**) {
  Scene scene{shared_store()};
  const Issued& read = scene.begin_frozen(read_wish(here));
  const Issued& write = scene.begin_frozen(write_wish(Range{20, 4}, 1));
  scene.pass_deadline();
  assert_true(read.turned_away());
  scene.pass(seconds{100});
  assert_false(write.answered);
  assert_int_equal(scene.tasks().orphans(), 1);
  scene.release(1);
  assert_true(write.good());
  assert_well(scene.end());
}

bool any(const Issued&) {
  return true;
}

void what_is_aborted_is_answered_a_grace_later_and_keeps_its_range(void**) {
  Scene scene;
  const Issued& aborted = scene.begin_frozen(write_wish(here, 1));
  scene.pass(seconds{1});
  scene.abort(any);
  const Issued& later = scene.begin(write_wish(here, 2));
  scene.pass(scsi::TaskSet::cancel_grace + milliseconds{1});
  assert_true(aborted.turned_away());
  assert_int_equal(scene.tasks().orphans(), 1);
  assert_false(later.answered);  // came after it, and waits behind the orphan
  scene.release(0);
  assert_true(later.good());
  assert_well(scene.end());
}

void what_is_aborted_behind_a_fence_is_answered_at_once(void**) {
  Scene scene;
  const Issued& first = scene.begin_frozen(write_wish(here, 1));
  const Issued& behind = scene.begin(write_wish(here, 2));
  scene.abort([&](const Issued& command) { return &command == &behind; });
  assert_true(behind.turned_away());
  assert_false(first.answered);
  scene.release(0);
  assert_true(first.good());
  assert_int_equal(scene.at(here.lba).data(), 1);
  assert_well(scene.end());
}

void what_is_held_is_so_when_it_is_aborted(void**) {
  Scene scene{shared_store()};
  const Issued& write = scene.begin_frozen(write_wish(here, 1));
  scene.abort(any);
  scene.pass(seconds{100});
  assert_false(write.answered);
  scene.release(0);
  assert_true(write.good());
  assert_well(scene.end());
}

void what_waits_behind_a_held_change_has_its_deadline(void**) {
  Scene scene{shared_store()};
  const Issued& held = scene.begin_frozen(write_wish(here, 1));
  const Issued& behind = scene.begin(write_wish(here, 2));
  scene.pass_deadline();
  assert_true(behind.turned_away());
  scene.release(0);
  assert_true(held.good());
  assert_int_equal(scene.ops(), 1);
  assert_well(scene.end());
}

// What it wrote has landed: nothing of it can land late, so it may be an orphan on any store.
void a_change_that_only_flushes_or_verifies_is_not_held(void**) {
  Scene scene{shared_store()};
  Wish no_cache;
  no_cache.kind = Wish::Kind::mode_select;
  no_cache.write_cache = false;
  assert_true(scene.begin(no_cache).good());
  const Freeze all_but_changes{.changes = false};
  const Issued& flushes = scene.begin_frozen(zero_wish(here), all_but_changes);
  Wish wish = write_wish(Range{20, 2}, 1);
  wish.and_verify = true;
  const Issued& verifies = scene.begin_frozen(wish, all_but_changes);
  scene.pass_deadline();
  assert_true(flushes.turned_away() && verifies.turned_away());
  assert_int_equal(scene.tasks().orphans(), 2);
  assert_well(scene.end());
}

// Of a held UNMAP the rest is not begun: it has no deadline any more.
void a_held_command_begins_nothing_more(void**) {
  Scene scene{shared_store()};
  const Issued& unmap = scene.begin_frozen(unmap_wish({here, Range{20, 4}}));
  scene.pass_deadline();
  scene.pass_deadline();
  assert_false(unmap.answered);
  scene.release(0);
  assert_true(unmap.turned_away());
  assert_int_equal(scene.ops(), 1);
  assert_well(scene.end());
}

void a_held_compare_and_write_says_what_became_of_it(void**) {
  Scene scene;
  Wish wish = write_wish(here, 1);
  wish.kind = Wish::Kind::compare_and_write;
  wish.expected.assign(here.count, Content{});
  scene.store().set_temper(Temper{.cancellable = 0});
  scene.store().freeze(Freeze{.reads = false});
  const Issued& command = scene.begin(wish);
  scene.pass_deadline();
  scene.pass(seconds{50});
  assert_false(command.answered);
  scene.release(1);
  assert_true(command.good());
  assert_well(scene.end());
}

void a_compare_and_write_that_only_compares_is_given_up(void**) {
  Scene scene;
  Wish wish = write_wish(here, 1);
  wish.kind = Wish::Kind::compare_and_write;
  wish.expected.assign(here.count, Content{});
  const Issued& command = scene.orphan(wish);
  assert_true(command.turned_away());
  scene.release(0);
  assert_int_equal(scene.ops(), 1);  // it never writes
  assert_true(scene.at(8).zero());
  assert_well(scene.end());
}

// 20 commands on a frozen store, then new ones, then the thaw.
void a_stalled_lun_holds_no_more_than_its_window(void**) {
  LunConfig config;
  config.limits.stall_window = 8;
  Scene scene{config};
  scene.freeze_all();
  std::vector<const Issued*> commands;
  for (std::uint32_t i = 0; i < 20; ++i) {
    commands.push_back(
        &scene.begin(i % 2 == 0 ? read_wish(Range{i, 1}) : write_wish(Range{i, 1}, i + 1)));
  }
  scene.pass(scene.config().limits.stall_after);
  assert_true(scene.tasks().stalled());
  scene.pass(scsi::TaskSet::cancel_grace);
  const std::size_t window = scene.config().limits.stall_window;
  assert_int_equal(scene.unanswered(), window);
  for (std::size_t i = 0; i < commands.size(); ++i) {
    assert_int_equal(commands[i]->answered, i >= window);  // the youngest go
  }
  assert_true(scene.begin(read_wish(here)).turned_away());
  scene.store().thaw();
  scene.sim().run_ready();
  assert_false(scene.tasks().stalled());
  assert_int_equal(scene.unanswered(), 0);
  for (std::uint32_t i = 0; i < 20; ++i) {
    assert_true(scene.begin(write_wish(Range{i, 1}, i + 30)).good());
  }
  assert_well(scene.end());
}

void full_depth_is_back_the_moment_nothing_is_old(void**) {
  Scene scene;
  const Issued& old = scene.begin_frozen(read_wish(here));
  scene.pass(seconds{4});
  assert_true(scene.tasks().stalled());
  scene.release(0);
  assert_true(old.good());
  assert_false(scene.tasks().stalled());
  scene.freeze_all();
  for (std::uint32_t i = 0; i < 20; ++i) {
    scene.begin(read_wish(Range{i, 1}));
  }
  assert_int_equal(scene.unanswered(), 20);
  // And the next stall is noticed as soon as it is one.
  scene.pass(scene.config().limits.stall_after - Nanoseconds{1});
  assert_false(scene.tasks().stalled());
  scene.pass(Nanoseconds{1});
  assert_true(scene.tasks().stalled());
  assert_well(scene.end());
}

void an_orphan_keeps_its_lun_stalled(void**) {
  Scene scene;
  scene.orphan(read_wish(here));
  assert_int_equal(scene.unanswered(), 0);
  assert_true(scene.tasks().stalled());
  scene.release(0);
  assert_false(scene.tasks().stalled());
  assert_well(scene.end());
}

void orphans_are_no_more_than_the_queue_is_deep(void**) {
  LunConfig config = never_stalled();
  config.queue_depth = 4;
  Scene scene{config};
  scene.freeze_all();
  std::vector<const Issued*> commands;
  for (std::uint32_t i = 0; i < 12; ++i) {
    commands.push_back(&scene.begin(write_wish(Range{i, 1}, i + 1)));
  }
  scene.pass_deadline();
  for (const Issued* const command : commands) {
    assert_true(command->turned_away());
  }
  assert_int_equal(scene.tasks().orphans(), 4);
  assert_int_equal(scene.ops(), 4);
  scene.store().thaw();
  scene.sim().run_ready();
  assert_int_equal(scene.ops(), 4);
  assert_well(scene.end());
}

void more_commands_than_there_is_room_for(void**) {
  Scene scene{never_stalled()};
  scene.freeze_all();
  for (std::size_t i = 0; i < scsi::TaskSet::most_commands; ++i) {
    scene.send(read_wish(Range{0, 1}));
  }
  const Issued& one_more = scene.begin(read_wish(Range{0, 1}));
  assert_true(one_more.answered && one_more.status == scsi::Status::task_set_full);
  scene.pass_deadline();
  assert_int_equal(scene.unanswered(), 0);
  assert_well(scene.end());
}

// What Linux does from then on: it aborts, and sends again.
void a_long_freeze_is_lived_through_by_aborts(void**) {
  LunConfig config;
  config.limits.busy_for = seconds{60};
  Scene scene{config};
  scene.freeze_all();
  const Issued* write = &scene.begin(write_wish(here, 1));
  const Issued* read = &scene.begin(read_wish(Range{20, 4}));
  for (int i = 0; i < 6; ++i) {
    scene.pass(seconds{60});
    if (!write->answered) {
      scene.abort(any);
      scene.pass(scsi::TaskSet::cancel_grace);
    }
    assert_true(write->turned_away() && read->turned_away());
    write = &scene.begin(write_wish(here, 1));
    read = &scene.begin(read_wish(Range{20, 4}));
  }
  assert_int_equal(scene.ops(), 2);
  scene.store().thaw();
  scene.sim().run_ready();
  assert_true(write->good() && read->good());
  assert_well(scene.end());
}

// The patrol slept when it was over. BUSY is believed as if there had been none.
void new_limits_revive_no_trouble_that_is_over(void**) {
  LunConfig config = never_stalled();
  config.limits.deadline = seconds{1};
  Scene scene{config};
  assert_true(scene.orphan(read_wish(here)).turned_away());
  scene.store().thaw();
  scene.pass(seconds{2});
  scsi::TaskSetLimits limits = config.limits;
  limits.deadline = seconds{20};
  limits.busy_for = seconds{10};
  scene.set_limits(limits);
  scene.pass(seconds{8});
  const Issued& read = scene.begin_frozen(read_wish(here));
  assert_false(scene.tasks().holding());
  scene.store().thaw();
  scene.sim().run_ready();
  assert_true(read.good());
  assert_well(scene.end());
}

void longer_patience_ends_a_stall(void**) {
  Scene scene;
  scene.begin_frozen(read_wish(here));
  scene.pass(seconds{4});
  assert_true(scene.tasks().stalled());
  scsi::TaskSetLimits limits;
  limits.stall_after = seconds{10};
  scene.set_limits(limits);
  assert_false(scene.tasks().stalled());
  scene.pass(seconds{6});
  assert_true(scene.tasks().stalled());
  assert_well(scene.end());
}

}  // namespace

int main() {
  prepare_program();
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_the_store_cancels_is_over),
      cmocka_unit_test(what_ends_in_the_grace_is_answered_as_it_ended),
      cmocka_unit_test(reads_are_orphaned_on_any_store_and_changes_are_held),
      cmocka_unit_test(what_is_aborted_is_answered_a_grace_later_and_keeps_its_range),
      cmocka_unit_test(what_is_aborted_behind_a_fence_is_answered_at_once),
      cmocka_unit_test(what_is_held_is_so_when_it_is_aborted),
      cmocka_unit_test(what_waits_behind_a_held_change_has_its_deadline),
      cmocka_unit_test(a_change_that_only_flushes_or_verifies_is_not_held),
      cmocka_unit_test(a_held_command_begins_nothing_more),
      cmocka_unit_test(a_held_compare_and_write_says_what_became_of_it),
      cmocka_unit_test(a_compare_and_write_that_only_compares_is_given_up),
      cmocka_unit_test(a_stalled_lun_holds_no_more_than_its_window),
      cmocka_unit_test(full_depth_is_back_the_moment_nothing_is_old),
      cmocka_unit_test(an_orphan_keeps_its_lun_stalled),
      cmocka_unit_test(orphans_are_no_more_than_the_queue_is_deep),
      cmocka_unit_test(more_commands_than_there_is_room_for),
      cmocka_unit_test(a_long_freeze_is_lived_through_by_aborts),
      cmocka_unit_test(new_limits_revive_no_trouble_that_is_over),
      cmocka_unit_test(longer_patience_ends_a_stall),
  };
  return cmocka_run_group_tests_name("deadline", tests, nullptr, nullptr);
}
