// SPDX-License-Identifier: Apache-2.0
// Closing, opening, growing and shrinking a LUN, and running out of memory, with orphans alive.
#include <string>

#include "tests/sim/program.h"
#include "tests/sim/scenario.h"

// after the others
#include "tests/sim/assert_well.h"

using namespace ballast;
using namespace ballast::sim;

namespace {

constexpr Range here{8, 4};
constexpr Range at_the_end{60, 4};
constexpr Content old_data{1, 0, 0};
constexpr Content new_data{2, 0, 0};

void closing_answers_everything_and_waits_for_the_store(void**) {
  Scene scene;
  const Issued& write = scene.begin_frozen(write_wish(here, 1));
  const Issued& read = scene.begin(read_wish(here));
  const Issued& behind = scene.begin(write_wish(here, 2));
  assert_true(read.good());
  scene.close();
  scene.pass(scsi::TaskSet::cancel_grace);
  assert_true(write.turned_away() && behind.turned_away());
  scene.pass(std::chrono::seconds{100});
  assert_false(scene.closed());
  assert_true(scene.begin(read_wish(here)).turned_away());
  scene.release(0);
  scene.pass(Nanoseconds{1});
  assert_true(scene.closed());
  scene.reopen();
  assert_true(scene.at(8) == old_data);
  assert_well(scene.end());
}

// An orphan of the closed LUN never meets a command of the opened one.
void what_is_written_after_opening_stays(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    scene.orphan(write_wish(here, 1));
    scene.begin_frozen(write_wish(Range{20, 2}, 3));
    scene.close();
    scene.begin(write_wish(here, 4));
    scene.thaw(choices);
    scene.pass(Nanoseconds{1});
    scene.reopen();
    assert_true(scene.begin(write_wish(here, 2)).good());
    assert_true(scene.at(8) == new_data);
    return scene.end();
  }));
}

// As it is with a LUN that is removed and made again while its storage hangs.
void the_next_lun_waits_until_the_store_is_let_go_of(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    scene.orphan(write_wish(here, 1));
    scene.begin_frozen(write_wish(Range{20, 2}, 3));
    scene.close();
    scene.pass(std::chrono::seconds{2});
    assert_true(scene.departed() && !scene.closed());
    scene.reopen();
    scene.pass(std::chrono::seconds{1});
    assert_false(scene.ready());
    assert_true(scene.begin(write_wish(here, 2)).turned_away());
    scene.thaw(choices);
    scene.pass(lun::Lun::look_interval);
    assert_true(scene.ready());
    assert_true(scene.at(8) == old_data);
    assert_true(scene.begin(read_wish(here)).sense_key() ==
                scsi::SenseKey::unit_attention);  // INQUIRY DATA HAS CHANGED
    assert_true(scene.begin(write_wish(here, 2)).good());
    assert_true(scene.at(8) == new_data);
    return scene.end();
  }));
}

// A held command is answered when its LUN goes, and the store is waited for.
void a_held_compare_and_write_is_answered_at_closing(void**) {
  Scene scene;
  Wish wish = write_wish(here, 1);
  wish.kind = Wish::Kind::compare_and_write;
  wish.expected.assign(here.count, Content{});
  const Issued& command = scene.begin_frozen(wish, Freeze{.reads = false});
  scene.pass_deadline();
  scene.close();
  scene.pass(scsi::TaskSet::cancel_grace);
  // Not BUSY: asked again it would compare with what it is writing.
  assert_true(command.answered && command.sense_key() == scsi::SenseKey::hardware_error);
  assert_false(scene.closed());
  scene.release(1);
  scene.pass(Nanoseconds{1});
  assert_true(scene.closed());
  scene.reopen();
  assert_well(scene.end());
}

void adopters_are_answered_at_closing(void**) {
  Scene scene;
  scene.orphan(write_wish(here, 1));
  const Issued& retry = scene.begin(write_wish(here, 1));
  scene.close();
  scene.pass(scsi::TaskSet::cancel_grace);
  assert_true(retry.turned_away());
  scene.release(0);
  scene.pass(Nanoseconds{1});
  assert_true(scene.closed());
  scene.reopen();
  assert_well(scene.end());
}

void shrinking_under_an_orphan_loses_nothing(void**) {
  Scene scene;
  scene.orphan(write_wish(at_the_end, 1));
  scene.resize(32);
  scene.pass(Nanoseconds{1});
  assert_int_equal(scene.capacity(), 32);
  assert_true(scene.begin(read_wish(here)).sense_key() == scsi::SenseKey::unit_attention);
  // The same again is beyond the end now, whatever the orphan does.
  const Issued& retry = scene.begin(write_wish(at_the_end, 1));
  assert_true(retry.sense_key() == scsi::SenseKey::illegal_request);
  scene.release(0);
  scene.resize(64);
  scene.pass(Nanoseconds{1});
  assert_true(scene.begin(read_wish(here)).sense_key() == scsi::SenseKey::unit_attention);
  const Issued& read = scene.begin(read_wish(at_the_end));
  assert_true(read.good() && read.found[0] == old_data);
  assert_well(scene.end());
}

void an_unmap_beyond_the_new_end_takes_over_nothing(void**) {
  Scene scene;
  scene.orphan(unmap_wish({at_the_end}));
  scene.resize(32);
  scene.pass(Nanoseconds{1});
  assert_true(scene.begin(read_wish(here)).sense_key() == scsi::SenseKey::unit_attention);
  const Issued& retry = scene.begin(unmap_wish({at_the_end}));
  scene.release(0);
  assert_true(retry.sense_key() == scsi::SenseKey::illegal_request);
  assert_well(scene.end());
}

void growing_under_an_orphan(void**) {
  Scene scene;
  scene.orphan(write_wish(at_the_end, 1));
  scene.resize(96);
  scene.pass(Nanoseconds{1});
  assert_true(scene.begin(read_wish(here)).sense_key() == scsi::SenseKey::unit_attention);
  const Issued& over = scene.begin(write_wish(Range{62, 8}, 2));
  assert_false(over.answered);
  assert_true(scene.begin(write_wish(Range{70, 8}, 3)).good());
  scene.release(0);
  assert_true(over.good());
  assert_true(scene.at(60) == old_data && scene.at(62) == new_data);
  assert_well(scene.end());
}

// Orphans keep their buffers; who finds none waits, has a deadline, and never reaches the store.
void orphans_use_up_the_buffers(void**) {
  Scene scene;
  scene.squeeze_buffers(3 * io::BufferPool::smallest);
  scene.orphan(write_wish(Range{0, 8}, 1));
  scene.store().freeze(Freeze{});
  scene.begin(write_wish(Range{8, 8}, 2));
  scene.begin(write_wish(Range{16, 8}, 3));
  scene.store().keep_frozen();
  scene.pass_deadline();
  assert_int_equal(scene.tasks().orphans(), 3);
  const Issued& fourth = scene.begin(write_wish(Range{24, 8}, 4));
  scene.pass_deadline();
  assert_true(fourth.turned_away());
  assert_int_equal(scene.ops(), 3);
  const Issued& fifth = scene.begin(write_wish(Range{24, 8}, 5));
  assert_false(fifth.answered);
  scene.release(1);
  assert_true(fifth.good());
  scene.release(0);
  scene.release(2);
  assert_well(scene.end());
}

void commands_without_data_need_no_buffer(void**) {
  Scene scene;
  scene.squeeze_buffers(0);
  assert_true(scene.begin(flush_wish()).good());
  const Issued& read = scene.begin(read_wish(here));
  assert_false(read.answered);
  scene.squeeze_buffers(~std::size_t{0});
  scene.sim().run_ready();
  assert_true(read.good());
  assert_well(scene.end());
}

void new_limits_count_for_what_is_under_way(void**) {
  Scene scene;
  const Issued& write = scene.begin_frozen(write_wish(here, 1));
  scene.pass(std::chrono::seconds{2});
  scsi::TaskSetLimits limits;
  limits.deadline = std::chrono::seconds{5};
  scene.set_limits(limits);
  scene.pass(std::chrono::seconds{3});
  assert_true(write.turned_away());
  assert_int_equal(scene.tasks().orphans(), 1);
  scene.release(0);
  assert_well(scene.end());
}

}  // namespace

int main() {
  prepare_program();
  const CMUnitTest tests[] = {
      cmocka_unit_test(closing_answers_everything_and_waits_for_the_store),
      cmocka_unit_test(what_is_written_after_opening_stays),
      cmocka_unit_test(the_next_lun_waits_until_the_store_is_let_go_of),
      cmocka_unit_test(a_held_compare_and_write_is_answered_at_closing),
      cmocka_unit_test(adopters_are_answered_at_closing),
      cmocka_unit_test(shrinking_under_an_orphan_loses_nothing),
      cmocka_unit_test(an_unmap_beyond_the_new_end_takes_over_nothing),
      cmocka_unit_test(growing_under_an_orphan),
      cmocka_unit_test(orphans_use_up_the_buffers),
      cmocka_unit_test(commands_without_data_need_no_buffer),
      cmocka_unit_test(new_limits_count_for_what_is_under_way),
  };
  return cmocka_run_group_tests_name("lifecycle", tests, nullptr, nullptr);
}
