// SPDX-License-Identifier: Apache-2.0
#include "handler/passed_over.h"

#include <algorithm>
#include <vector>

#include "tests/cmocka.h"
#include "tests/handler/made_up_ring.h"

using ballast::handler::PassedOver;
using ballast::handler::RingCursor;
using ballast::test::MadeUpRing;

namespace {

// Cursor and walk over one ring, and what came out.
struct Rig {
  explicit Rig(std::uint32_t commands) : ring{commands} {}

  // The daemon hands these over in one batch.
  void batch(std::initializer_list<std::uint16_t> ids) {
    for (const std::uint16_t id : ids) {
      (void)cursor.arrived(id);
    }
    begin(ids, cursor.mark());
  }
  void begin(std::initializer_list<std::uint16_t> ids, const RingCursor::Mark& mark) {
    const bool any = walk.any_before(mark);
    for (const std::uint16_t id : ids) {
      if (any) {
        for (auto item = walk.next_before(id); item; item = walk.next_before(id)) {
          note(*item);
        }
      }
      begun.push_back(id);
    }
    walk.reached(mark);
  }
  void note(const PassedOver::Item& item) {
    if (!item.is_notice) {
      thrown_away.push_back(item.cmd_id);
      return;
    }
    ++notices;
    for (const std::uint16_t id : begun) {
      if (walk.is_named(id)) {
        aborted.push_back(id);
      }
    }
  }
  void look() {
    for (auto item = walk.next_notice(); item; item = walk.next_notice()) {
      note(*item);
    }
  }
  void take_rest() {
    const PassedOver::Rest rest = walk.rest(false);
    assert_true(cursor.pass_by(rest.from, rest.to));
    for (auto item = walk.next_of(rest); item; item = walk.next_of(rest)) {
      note(*item);
    }
  }

  MadeUpRing ring;
  RingCursor cursor{ring.mapping()};
  PassedOver walk{ring.mapping()};
  std::vector<std::uint16_t> begun;
  std::vector<std::uint16_t> thrown_away;
  std::vector<std::uint16_t> aborted;
  std::size_t notices = 0;
};

using Ids = std::vector<std::uint16_t>;
constexpr std::uint8_t vendor = MadeUpRing::vendor_specific;

void a_batch_with_nothing_between_is_not_walked(void**) {
  Rig rig{8};
  rig.ring.command(1);
  rig.ring.command(2);
  (void)rig.cursor.arrived(1);
  (void)rig.cursor.arrived(2);
  assert_false(rig.walk.any_before(rig.cursor.mark()));
}

void a_command_thrown_away_comes_out_once(void**) {
  Rig rig{8};
  rig.ring.command(1);
  rig.ring.command(2, vendor);
  rig.ring.command(3);
  rig.batch({1, 3});
  assert_true(rig.thrown_away == Ids{2});
  assert_int_equal(rig.walk.rest(false).from, rig.walk.rest(false).to);
}

void any_number_comes_out(void**) {
  Rig rig{1000};
  for (std::uint16_t id = 1; id <= 500; ++id) {
    rig.ring.command(id, vendor);
  }
  rig.ring.command(501);
  rig.batch({501});
  assert_int_equal(rig.thrown_away.size(), 500);
}

void what_stands_at_the_end_is_the_rest(void**) {
  Rig rig{1000};
  rig.ring.command(1);
  rig.batch({1});
  for (std::uint16_t id = 2; id <= 300; ++id) {
    rig.ring.command(id, vendor);
  }
  rig.take_rest();
  assert_int_equal(rig.thrown_away.size(), 299);
  assert_true(rig.walk.is_at(rig.ring.head()));
}

void there_is_no_rest_while_a_command_is_on_its_way(void**) {
  Rig rig{8};
  rig.ring.command(1, vendor);
  rig.ring.command(2);
  const PassedOver::Rest rest = rig.walk.rest(true);
  assert_int_equal(rest.from, rest.to);
}

void what_was_answered_as_the_rest_does_not_come_again(void**) {
  Rig rig{8};
  rig.ring.command(1);
  rig.batch({1});
  rig.ring.answer(1);
  rig.ring.command(2, vendor);
  rig.take_rest();
  rig.ring.answer(2);
  rig.ring.command(3);
  rig.batch({3});
  assert_true(rig.thrown_away == Ids{2});
}

void a_notice_waits_for_a_command_that_is_on_its_way(void**) {
  Rig rig{8};
  rig.ring.command(1);
  rig.ring.notice({1});
  rig.look();
  assert_int_equal(rig.notices, 0);
  rig.batch({1});
  rig.look();
  assert_true(rig.aborted == Ids{1});
}

void a_notice_is_heeded_before_the_command_behind_it_begins(void**) {
  Rig rig{8};
  rig.ring.command(1);
  rig.batch({1});
  rig.ring.notice({1});
  rig.ring.command(2);
  rig.batch({2});
  assert_true(rig.aborted == Ids{1});
}

// The kernel uses ids again.
void a_notice_does_not_mean_a_later_command_of_the_same_id(void**) {
  Rig rig{8};
  rig.ring.command(1);
  rig.batch({1});
  rig.ring.notice({2});
  rig.ring.command(2);
  rig.batch({2});
  assert_int_equal(rig.notices, 1);
  assert_true(rig.aborted.empty());
}

void a_notice_inside_a_batch_means_what_is_before_it(void**) {
  Rig rig{8};
  rig.ring.command(1);
  rig.ring.notice({1, 2});
  rig.ring.command(2);
  rig.batch({1, 2});
  assert_true(rig.aborted == Ids{1});
}

void a_notice_that_was_seen_does_not_come_again(void**) {
  Rig rig{16};
  rig.ring.command(1);
  rig.batch({1});
  rig.ring.notice({1});
  rig.look();
  rig.look();
  rig.ring.command(2);
  rig.batch({2});
  assert_int_equal(rig.notices, 1);
}

void a_notice_behind_a_thrown_away_command_is_seen_at_once(void**) {
  Rig rig{16};
  rig.ring.command(1);
  rig.batch({1});
  rig.ring.command(2, vendor);
  rig.ring.notice({1});
  rig.look();
  assert_true(rig.aborted == Ids{1});
  assert_true(rig.thrown_away.empty());
  rig.take_rest();
  assert_true(rig.thrown_away == Ids{2});
  assert_int_equal(rig.notices, 1);
}

void a_notice_that_claims_too_much_is_read_to_its_end(void**) {
  Rig rig{16};
  rig.ring.command(1);
  rig.batch({1});
  const std::uint16_t ids[] = {1, 0, 0, 0};
  rig.ring.notice(ids, 0xffffffff);
  const auto item = rig.walk.next_notice();
  assert_int_equal(item->named, 4);
  assert_true(rig.walk.is_named(1));
}

void a_lost_position_is_found_again(void**) {
  Rig rig{8};
  rig.ring.command(1);
  rig.begin({1}, {.position = 0, .passed_over = 0, .known = false});
  rig.ring.answer(1);
  rig.ring.command(2, vendor);
  assert_int_equal(rig.walk.rest(false).from, rig.walk.rest(false).to);
  const PassedOver::Rest rest = rig.walk.rest(true);
  assert_int_equal(rest.to - rest.from, MadeUpRing::command_bytes);
}

void nonsense_in_the_ring_is_the_end_of_the_walk(void**) {
  Rig rig{8};
  rig.ring.command(1, vendor);
  rig.ring.command(2);
  (void)rig.cursor.arrived(2);
  std::memset(rig.ring.at(0), 0xff, 8);
  rig.begin({2}, rig.cursor.mark());
  assert_true(rig.thrown_away.empty());
  rig.look();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_batch_with_nothing_between_is_not_walked),
      cmocka_unit_test(a_command_thrown_away_comes_out_once),
      cmocka_unit_test(any_number_comes_out),
      cmocka_unit_test(what_stands_at_the_end_is_the_rest),
      cmocka_unit_test(there_is_no_rest_while_a_command_is_on_its_way),
      cmocka_unit_test(what_was_answered_as_the_rest_does_not_come_again),
      cmocka_unit_test(a_notice_waits_for_a_command_that_is_on_its_way),
      cmocka_unit_test(a_notice_is_heeded_before_the_command_behind_it_begins),
      cmocka_unit_test(a_notice_does_not_mean_a_later_command_of_the_same_id),
      cmocka_unit_test(a_notice_inside_a_batch_means_what_is_before_it),
      cmocka_unit_test(a_notice_that_was_seen_does_not_come_again),
      cmocka_unit_test(a_notice_behind_a_thrown_away_command_is_seen_at_once),
      cmocka_unit_test(a_notice_that_claims_too_much_is_read_to_its_end),
      cmocka_unit_test(a_lost_position_is_found_again),
      cmocka_unit_test(nonsense_in_the_ring_is_the_end_of_the_walk),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
