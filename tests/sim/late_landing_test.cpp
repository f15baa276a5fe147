// SPDX-License-Identifier: Apache-2.0
// A write that was answered BUSY and lands late must not overwrite newer data. Fences exist to
// prevent this.
#include <string>

#include "tests/sim/program.h"
#include "tests/sim/scenario.h"

// after the others
#include "tests/sim/assert_well.h"

using namespace ballast;
using namespace ballast::sim;

namespace {

constexpr Range here{8, 4};
constexpr Content old_data{1, 0, 0};
constexpr Content new_data{2, 0, 0};

void a_frozen_write_is_answered_busy_and_lands_later(void**) {
  Scene scene;
  const Issued& write = scene.begin_frozen(write_wish(here, 1));
  scene.pass(scene.config().limits.deadline - Nanoseconds{1});
  assert_false(write.answered);
  scene.pass(Nanoseconds{1});
  assert_true(write.status == scsi::Status::busy && write.answered);
  assert_int_equal(scene.tasks().orphans(), 1);
  assert_true(scene.at(8).zero());
  scene.release(0);
  assert_int_equal(scene.tasks().orphans(), 0);
  assert_true(scene.at(8) == old_data);
  assert_well(scene.end());
}

void what_overlaps_an_orphan_waits_for_it(void**) {
  Scene scene;
  scene.orphan(write_wish(here, 1));
  const Issued& after = scene.begin(write_wish(here, 2));
  assert_false(after.answered);
  assert_int_equal(scene.ops(), 1);
  scene.release(0);
  assert_true(after.good());
  assert_true(scene.at(8) == new_data);
  assert_well(scene.end());
}

void what_does_not_overlap_goes_ahead(void**) {
  Scene scene;
  scene.orphan(write_wish(here, 1));
  assert_true(scene.begin(write_wish(Range{12, 4}, 2)).good());
  assert_true(scene.begin(read_wish(Range{4, 4})).good());
  assert_well(scene.end());
}

void who_waits_behind_an_orphan_has_a_deadline_too(void**) {
  Scene scene;
  scene.orphan(write_wish(here, 1));
  const Issued& write = scene.begin(write_wish(Range{10, 4}, 2));
  const Issued& read = scene.begin(read_wish(Range{10, 4}));
  scene.pass_deadline();
  assert_true(write.turned_away() && read.turned_away());
  assert_int_equal(scene.ops(), 1);
  scene.release(0);
  assert_int_equal(scene.ops(), 1);  // neither is begun any more
  assert_well(scene.end());
}

void a_read_waits_for_an_orphan_that_landed_in_part(void**) {
  Scene scene;
  scene.orphan(write_wish(here, 1), Freeze{.landed_only = true});
  assert_true(scene.at(8) == old_data);  // it is there, but it is not over
  const Issued& read = scene.begin(read_wish(here));
  assert_false(read.answered);
  scene.release(0);
  assert_true(read.good());
  assert_true(read.found[0] == old_data);
  assert_well(scene.end());
}

// Two initiators write the same blocks; both are frozen, both answered BUSY, both ask again, or one
// of them does; somebody reads.
void two_initiators_on_the_same_blocks(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    scene.begin_frozen(write_wish(Range{8, 4}, 1));
    scene.begin_frozen(write_wish(Range{10, 4}, 2));
    scene.begin_frozen(write_wish(Range{14, 2}, 3));
    scene.pass_deadline();
    scene.store().freeze(Freeze{});
    scene.begin(read_wish(Range{8, 8}));
    if (choices.pick(2) == 1) {
      scene.begin(write_wish(Range{8, 4}, 1));
    }
    if (choices.pick(2) == 1) {
      scene.begin(write_wish(Range{10, 4}, 2));
    }
    scene.begin(write_wish(Range{12, 4}, 4));
    scene.thaw(choices);
    return scene.end();
  }));
}

// Everything that changes blocks, over everything that changes blocks.
Wish change_of(std::size_t kind, Range range, std::uint32_t data) {
  switch (kind) {
    case 0:
      return write_wish(range, data);
    case 1:
      return zero_wish(range);
    case 2:
      return pattern_wish(range, data);
    case 3:
      return unmap_wish({range});
    default:
      return unmap_wish({Range{range.lba, 1}, Range{range.lba + 1, range.count - 1}});
  }
}
constexpr std::size_t kinds = 5;

void every_change_over_every_orphan(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    assert_true(scene.begin(write_wish(Range{0, 32}, 9)).good());
    scene.orphan(change_of(choices.pick(kinds), Range{8, 4}, 1));
    scene.store().freeze(Freeze{});
    scene.begin(change_of(choices.pick(kinds), Range{10, 4}, 2));
    scene.begin(change_of(choices.pick(kinds), Range{9, 2}, 3));
    scene.thaw(choices);
    return scene.end();
  }));
}

// A retry that is not quite the same is another command, and comes second.
void a_retry_that_differs(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    assert_true(scene.begin(write_wish(Range{0, 32}, 9)).good());
    scene.orphan(write_wish(Range{8, 4}, 1));
    Wish retry = write_wish(Range{8, 4}, 1);
    const std::size_t how = choices.pick(4);
    if (how == 0) {
      retry.data[choices.pick(4)] = Content{1, 0, 1};  // one byte
    } else if (how == 1) {
      retry = write_wish(Range{8, 5}, 1);
    } else if (how == 2) {
      retry = write_wish(Range{8, 3}, 1);
    } else {
      retry.ranges = {choices.pick(2) == 0 ? Range{7, 4} : Range{9, 4}};
    }
    const Issued& second = scene.begin(retry);
    assert_false(second.answered);
    scene.thaw(choices);
    assert_true(second.good());
    for (std::uint32_t i = 0; i < retry.range().count; ++i) {
      assert_true(scene.at(retry.range().lba + i) == retry.data[i]);
    }
    return scene.end();
  }));
}

// The oracle itself: without fences these scenes go wrong.
void without_fences_it_would_come_over_newer_data(void**) {
  LunConfig config;
  config.sabotage.no_fences = true;
  Scene scene{config};
  scene.orphan(write_wish(here, 1));
  assert_true(scene.begin(write_wish(here, 2)).good());
  scene.release(0);
  assert_true(scene.at(8) == old_data);
  assert_false(scene.end().empty());
}

}  // namespace

int main() {
  prepare_program();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_frozen_write_is_answered_busy_and_lands_later),
      cmocka_unit_test(what_overlaps_an_orphan_waits_for_it),
      cmocka_unit_test(what_does_not_overlap_goes_ahead),
      cmocka_unit_test(who_waits_behind_an_orphan_has_a_deadline_too),
      cmocka_unit_test(a_read_waits_for_an_orphan_that_landed_in_part),
      cmocka_unit_test(two_initiators_on_the_same_blocks),
      cmocka_unit_test(every_change_over_every_orphan),
      cmocka_unit_test(a_retry_that_differs),
      cmocka_unit_test(without_fences_it_would_come_over_newer_data),
  };
  return cmocka_run_group_tests_name("late landing", tests, nullptr, nullptr);
}
