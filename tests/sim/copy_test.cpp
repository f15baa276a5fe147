// SPDX-License-Identifier: Apache-2.0
// EXTENDED COPY reads and writes blocks in order with all others, and nothing of it comes late.
#include <string>

#include "tests/sim/program.h"
#include "tests/sim/scenario.h"

// after the others
#include "tests/sim/assert_well.h"

using namespace ballast;
using namespace ballast::sim;

namespace {

constexpr Range source{0, 4};
constexpr Range target{8, 4};
constexpr Freeze reads{.changes = false, .flushes = false};
constexpr Freeze changes{.reads = false, .flushes = false};

// A copy of the source, which has the blocks of data `data`.
Wish copy_of(std::uint32_t data) {
  Wish wish = write_wish(target, data);
  wish.kind = Wish::Kind::copy;
  wish.sources = {source};
  return wish;
}

void it_copies(void**) {
  Scene scene;
  assert_true(scene.begin(write_wish(source, 1)).good());
  assert_true(scene.begin(copy_of(1)).good());
  assert_true(scene.at(target.lba + 3) == (Content{1, 3, 0}));
  assert_well(scene.end());
}

// Reads that hang at the LUN's own store do not matter to it.
void it_copies_from_a_neighbour(void**) {
  Scene scene;
  scene.neighbour().shelve(1);
  assert_true(scene.begin(write_wish(source, 2)).good());
  Wish wish = copy_of(1);
  wish.from_neighbour = true;
  scene.store().freeze(reads);
  const Issued& copy = scene.begin(wish);
  scene.pass(std::chrono::seconds{1});
  assert_true(copy.good());
  assert_true(scene.at(target.lba + 3) == (Content{1, 3, 0}));
  assert_true(scene.at(source.lba) == (Content{2, 0, 0}));
  assert_well(scene.end());
}

void it_waits_for_a_write_to_its_source_that_was_answered_busy(void**) {
  Scene scene;
  assert_true(scene.begin(write_wish(source, 1)).good());
  scene.orphan(write_wish(source, 2));
  const Issued& copy = scene.begin(copy_of(2));
  assert_false(copy.answered);
  scene.release(1);
  assert_true(copy.good());
  assert_true(scene.at(target.lba) == (Content{2, 0, 0}));
  assert_well(scene.end());
}

void its_write_lands_before_a_newer_one_although_it_was_answered_busy(void**) {
  Scene scene;
  assert_true(scene.begin(write_wish(source, 1)).good());
  const Issued& copy = scene.orphan(copy_of(1), changes);
  assert_true(copy.status == scsi::Status::busy);
  const Issued& newer = scene.begin(write_wish(target, 2));
  assert_false(newer.answered);
  scene.release(2);
  assert_true(newer.good());
  assert_true(scene.at(target.lba) == (Content{2, 0, 0}));
  assert_well(scene.end());
}

void it_writes_nothing_once_it_was_answered_busy_while_it_read(void**) {
  Scene scene;
  assert_true(scene.begin(write_wish(source, 1)).good());
  const Issued& copy = scene.orphan(copy_of(1), reads);
  assert_true(copy.status == scsi::Status::busy);
  scene.release(1);
  scene.pass(std::chrono::seconds{60});
  assert_true(scene.at(target.lba).zero());
  assert_well(scene.end());
}

void two_that_overlap_and_a_write_in_every_order(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    scene.begin(write_wish(source, 1));
    scene.freeze_all();
    scene.begin(copy_of(1));
    scene.begin(write_wish(Range{10, 4}, 2));
    scene.begin(copy_of(1));
    scene.begin(read_wish(target));
    scene.thaw(choices);
    return scene.end();
  }));
}

void one_that_is_aborted_at_any_operation(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    scene.begin(write_wish(source, 1));
    scene.freeze_all();
    const Issued& copy = scene.begin(copy_of(1));
    const std::size_t before = choices.pick(2);  // its read, its write
    for (std::size_t i = 0; i < before; ++i) {
      scene.thaw_one();
    }
    scene.abort([&copy](const Issued& command) { return &command == &copy; });
    scene.begin(write_wish(target, 2));
    scene.thaw(choices);
    return scene.end();
  }));
}

void one_whose_lun_is_closed_at_any_operation(void**) {
  assert_well(in_every_order([](Choices& choices) {
    Scene scene;
    scene.begin(write_wish(source, 1));
    scene.freeze_all();
    scene.begin(copy_of(1));
    const std::size_t before = choices.pick(2);
    for (std::size_t i = 0; i < before; ++i) {
      scene.thaw_one();
    }
    scene.close();
    scene.pass(std::chrono::seconds{60});
    scene.thaw(choices);
    scene.pass(std::chrono::seconds{60});
    scene.store().thaw();
    scene.reopen();
    return scene.end();
  }));
}

}  // namespace

int main() {
  prepare_program();
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_copies),
      cmocka_unit_test(it_copies_from_a_neighbour),
      cmocka_unit_test(it_waits_for_a_write_to_its_source_that_was_answered_busy),
      cmocka_unit_test(its_write_lands_before_a_newer_one_although_it_was_answered_busy),
      cmocka_unit_test(it_writes_nothing_once_it_was_answered_busy_while_it_read),
      cmocka_unit_test(two_that_overlap_and_a_write_in_every_order),
      cmocka_unit_test(one_that_is_aborted_at_any_operation),
      cmocka_unit_test(one_whose_lun_is_closed_at_any_operation),
  };
  return cmocka_run_group_tests_name("copy", tests, nullptr, nullptr);
}
