// SPDX-License-Identifier: Apache-2.0
// A retry of a command whose first try is an orphan: when the retry takes over the orphan's result,
// and when it must not.
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

void a_retried_change_takes_over_its_orphan(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    const std::size_t kind = choices.pick(4);
    const Wish wish = kind == 0   ? write_wish(here, 1)
                      : kind == 1 ? zero_wish(here)
                      : kind == 2 ? pattern_wish(here, 1)
                                  : unmap_wish({here});
    scene.orphan(wish);
    const Issued& retry = scene.begin(wish);
    assert_false(retry.answered);
    scene.release(0);
    assert_true(retry.good());
    assert_int_equal(scene.ops(), 1);
    return scene.end();
  }));
}

void many_retries_take_over_one_orphan(void**) {
  Scene scene;
  scene.orphan(write_wish(here, 1));
  const Issued& second = scene.begin(write_wish(here, 1));
  scene.pass_deadline();
  assert_true(second.turned_away());
  const Issued& third = scene.begin(write_wish(here, 1));
  const Issued& fourth = scene.begin(write_wish(here, 1));
  scene.release(0);
  assert_true(third.good() && fourth.good());
  assert_int_equal(scene.ops(), 1);
  assert_well(scene.end());
}

// It waited for another change of its range first; it changed nothing before the range was its own.
void an_orphan_that_once_waited_for_its_range_is_taken_over(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    const bool zeroes = choices.pick(2) == 1;
    const Wish wish = zeroes ? zero_wish(here) : write_wish(here, 2);
    scene.freeze_all();
    const Issued& first = scene.begin(write_wish(here, 1));
    const Issued& behind = scene.begin(wish);
    scene.release(0);
    assert_true(first.good());
    scene.pass_deadline();
    assert_true(behind.turned_away());
    const Issued& retry = scene.begin(wish);
    scene.release(1);
    assert_true(retry.good());
    assert_int_equal(scene.ops(), 2);
    return scene.end();
  }));
}

void where_the_orphan_was_not_done_the_retry_does_it(void**) {
  Scene scene;
  scene.store().set_temper(Temper{.no_resource = 1000, .cancellable = 0});
  scene.orphan(write_wish(here, 1));
  scene.store().set_temper(Temper{.cancellable = 0});
  const Issued& retry = scene.begin(write_wish(here, 1));
  scene.release(0);
  assert_true(retry.good());
  assert_int_equal(scene.ops(), 2);
  assert_true(scene.at(8) == old_data);
  assert_well(scene.end());
}

void where_the_orphan_failed_the_retry_does_it(void**) {
  Scene scene;
  scene.store().set_temper(Temper{.medium_error = 1000, .cancellable = 0});
  scene.orphan(write_wish(here, 1));
  scene.store().set_temper(Temper{.cancellable = 0});
  const Issued& retry = scene.begin(write_wish(here, 1));
  scene.release(0);
  assert_true(retry.good());
  assert_true(scene.at(8) == old_data && scene.at(11) == (Content{1, 3, 0}));
  assert_well(scene.end());
}

// Without a write cache WRITE SAME and UNMAP flush last, and hold their range no longer then. What
// was written over them meanwhile must not be lost to a retry that is answered and does nothing.
void an_orphan_that_only_flushes_is_not_taken_over(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    // Turning the cache off would wait for the orphan.
    Wish same_modes;
    same_modes.kind = Wish::Kind::mode_select;
    same_modes.write_cache = true;
    assert_true(scene.begin(same_modes).good());
    const Wish wish = choices.pick(2) == 0 ? pattern_wish(here, 1) : unmap_wish({here});
    scene.orphan(wish, Freeze{.reads = false, .changes = false});
    assert_true(scene.begin(write_wish(here, 2)).good());
    const Issued& retry = scene.begin(wish);
    scene.thaw(choices);
    assert_true(retry.good());
    assert_true(scene.at(8) == (wish.data.empty() ? Content{} : old_data));
    return scene.end();
  }));
}

void an_unmap_of_many_ranges_is_not_taken_over_halfway(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    assert_true(scene.begin(write_wish(Range{0, 32}, 9)).good());
    const Wish wish = unmap_wish({Range{4, 2}, here});
    scene.orphan(wish, Freeze{.first = here.lba, .count = here.count});
    assert_true(scene.begin(write_wish(Range{4, 2}, 2)).good());
    const Issued& retry = scene.begin(wish);
    scene.thaw(choices);
    assert_true(retry.good());
    assert_true(scene.at(4).zero() && scene.at(8).zero());
    return scene.end();
  }));
}

void a_retried_read_takes_over_its_orphan(void**) {
  Scene scene;
  assert_true(scene.begin(write_wish(here, 1)).good());
  scene.orphan(read_wish(here));
  const std::size_t ops = scene.ops();
  const Issued& retry = scene.begin(read_wish(here));
  assert_false(retry.answered);
  scene.release(ops - 1);
  assert_true(retry.good());
  assert_true(retry.found[0] == old_data);
  assert_int_equal(scene.ops(), ops);
  assert_well(scene.end());
}

// The orphan has seen the old data; the change is acknowledged, or goes on, when the retry comes.
void a_retried_read_does_not_show_what_was_before_a_change(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    assert_true(scene.begin(write_wish(here, 1)).good());
    scene.orphan(read_wish(here), Freeze{.landed_only = true});
    const std::size_t read = scene.ops() - 1;
    const Range part{10, 4};
    if (choices.pick(2) == 0) {
      assert_true(scene.begin(write_wish(part, 2)).good());
    } else {
      scene.begin_frozen(write_wish(part, 2));
    }
    const Issued& retry = scene.begin(read_wish(here));
    if (choices.pick(2) == 0) {
      scene.release(read);
    }
    scene.thaw(choices);
    assert_true(retry.good());
    return scene.end();
  }));
}

void a_read_with_fua_is_not_taken_over(void**) {
  Scene scene;
  Wish wish = read_wish(here);
  wish.fua = true;
  scene.orphan(wish);
  const std::size_t ops = scene.ops();
  const Issued& retry = scene.begin(wish);
  assert_true(retry.good());
  assert_true(scene.ops() > ops);
  assert_well(scene.end());
}

// A flush that began before a write ended does not cover it.
void a_retried_flush_begins_anew(void**) {
  Scene scene;
  scene.orphan(flush_wish());
  assert_true(scene.begin(write_wish(here, 1)).good());
  const Issued& retry = scene.begin(flush_wish());
  assert_true(retry.good());
  assert_int_equal(scene.ops(), 3);
  assert_true(scene.store().durable(8) > 0);
  assert_well(scene.end());
}

void adopting_flushes_would_be_noticed(void**) {
  LunConfig config;
  config.sabotage.adopt_flushes = true;
  Scene scene{config};
  scene.orphan(flush_wish());
  assert_true(scene.begin(write_wish(here, 1)).good());
  scene.begin(flush_wish());
  scene.release(0);
  assert_false(scene.end().empty());
}

void stale_reads_would_be_noticed(void**) {
  LunConfig config;
  config.sabotage.reads_adopt_over_changes = true;
  Scene scene{config};
  scene.orphan(read_wish(here), Freeze{.landed_only = true});
  assert_true(scene.begin(write_wish(here, 1)).good());
  const Issued& retry = scene.begin(read_wish(here));
  scene.release(0);
  assert_true(retry.good() && retry.found[0].zero());
  assert_false(scene.end().empty());
}

// The mode pages say how a command is done: a result from before they changed is another result.
void nothing_is_taken_over_across_a_mode_select(void**) {
  Scene scene;
  scene.orphan(write_wish(here, 1));
  Wish same_modes;
  same_modes.kind = Wish::Kind::mode_select;
  same_modes.write_cache = true;
  assert_true(scene.begin(same_modes).good());
  const Issued& retry = scene.begin(write_wish(here, 1));
  scene.release(0);
  assert_true(retry.good());
  assert_int_equal(scene.ops(), 2);
  assert_well(scene.end());
}

// Its comparison would find what its first try wrote.
void a_compare_and_write_is_held_and_done_once(void**) {
  Scene scene;
  Wish wish = write_wish(here, 2);
  wish.kind = Wish::Kind::compare_and_write;
  wish.expected.assign(here.count, Content{});
  const Issued& command = scene.begin_frozen(wish, Freeze{.reads = false});
  scene.pass_deadline();
  scene.pass_deadline();
  assert_false(command.answered);
  scene.release(1);
  assert_true(command.good());
  assert_true(scene.at(8) == new_data);
  assert_well(scene.end());
}

}  // namespace

int main() {
  prepare_program();
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_retried_change_takes_over_its_orphan),
      cmocka_unit_test(many_retries_take_over_one_orphan),
      cmocka_unit_test(an_orphan_that_once_waited_for_its_range_is_taken_over),
      cmocka_unit_test(where_the_orphan_was_not_done_the_retry_does_it),
      cmocka_unit_test(where_the_orphan_failed_the_retry_does_it),
      cmocka_unit_test(an_orphan_that_only_flushes_is_not_taken_over),
      cmocka_unit_test(an_unmap_of_many_ranges_is_not_taken_over_halfway),
      cmocka_unit_test(a_retried_read_takes_over_its_orphan),
      cmocka_unit_test(a_retried_read_does_not_show_what_was_before_a_change),
      cmocka_unit_test(a_read_with_fua_is_not_taken_over),
      cmocka_unit_test(a_retried_flush_begins_anew),
      cmocka_unit_test(adopting_flushes_would_be_noticed),
      cmocka_unit_test(stale_reads_would_be_noticed),
      cmocka_unit_test(nothing_is_taken_over_across_a_mode_select),
      cmocka_unit_test(a_compare_and_write_is_held_and_done_once),
  };
  return cmocka_run_group_tests_name("adoption", tests, nullptr, nullptr);
}
