// SPDX-License-Identifier: Apache-2.0
#include "handler/ring_cursor.h"

#include "tests/cmocka.h"
#include "tests/handler/made_up_ring.h"

using ballast::handler::RingCursor;
using ballast::test::MadeUpRing;

namespace {

constexpr std::uint32_t one = MadeUpRing::command_bytes;

void it_says_whether_more_commands_wait(void**) {
  MadeUpRing ring{8};
  RingCursor cursor{ring.mapping()};
  ring.command(1);
  ring.command(2);
  assert_true(cursor.more());
  assert_true(cursor.arrived(1));
  assert_false(cursor.arrived(2));
  assert_int_equal(cursor.mark().position, 2 * one);
}

void what_the_daemon_throws_away_is_no_command_to_come(void**) {
  MadeUpRing ring{8};
  RingCursor cursor{ring.mapping()};
  ring.command(1);
  ring.command(2, MadeUpRing::vendor_specific);
  ring.notice({1});
  assert_false(cursor.arrived(1));
  // Not counted before the daemon is known to have read behind it.
  assert_int_equal(cursor.mark().position, one);
  assert_int_equal(cursor.mark().passed_over, 0);
}

void what_is_passed_over_is_counted(void**) {
  MadeUpRing ring{16};
  RingCursor cursor{ring.mapping()};
  ring.command(1, MadeUpRing::vendor_specific);
  ring.notice({9});
  ring.pad(64);
  ring.command(2);
  ring.command(3);
  assert_true(cursor.arrived(2));
  assert_int_equal(cursor.mark().passed_over, 2);
  assert_false(cursor.arrived(3));
  assert_int_equal(cursor.mark().passed_over, 2);
}

void the_ring_goes_round(void**) {
  MadeUpRing ring{4};
  RingCursor cursor{ring.mapping()};
  for (std::uint16_t id = 1; id < 40; ++id) {
    ring.command(id);
    assert_false(cursor.arrived(id));
    assert_true(cursor.mark().known);
    ring.answer(id);
  }
}

void entries_that_were_skipped_are_not_read_again(void**) {
  MadeUpRing ring{8};
  RingCursor cursor{ring.mapping()};
  ring.command(1);
  assert_false(cursor.arrived(1));
  ring.answer(1);
  ring.command(2, MadeUpRing::vendor_specific);
  assert_true(cursor.pass_by(one, 2 * one));
  ring.answer(2);  // the entry holds an answer now, and no operation code
  ring.command(3);
  assert_false(cursor.arrived(3));
  assert_true(cursor.mark().known);
  assert_int_equal(cursor.mark().position, 3 * one);
  assert_int_equal(cursor.mark().passed_over, 0);
}

void it_does_not_skip_from_where_it_does_not_stand(void**) {
  MadeUpRing ring{8};
  RingCursor cursor{ring.mapping()};
  ring.command(1);
  ring.command(2);
  assert_true(cursor.arrived(1));
  assert_false(cursor.pass_by(0, one));
  assert_int_equal(cursor.mark().position, one);
}

void a_lost_position_is_found_by_the_live_one_of_two_equal_ids(void**) {
  MadeUpRing ring{8};
  RingCursor cursor{ring.mapping()};
  ring.command(5);  // hangs
  ring.command(6);
  assert_true(cursor.arrived(5));
  assert_false(cursor.arrived(6));
  ring.answer(6);  // into the entry of 5; the id is free again, and its entry still stands
  ring.command(7);
  assert_false(cursor.arrived(99));  // never stood there
  assert_false(cursor.mark().known);
  ring.command(6);
  assert_false(cursor.arrived(6));
  assert_true(cursor.mark().known);
  assert_int_equal(cursor.mark().position, 4 * one);
}

void a_ring_that_makes_no_sense_has_no_more_commands(void**) {
  MadeUpRing ring{8};
  ring.mailbox().cmdr_size *= 2;
  ring.mailbox().cmd_head = one;
  RingCursor cursor{ring.mapping()};
  assert_false(cursor.arrived(1));
  assert_false(cursor.more());
  assert_false(cursor.mark().known);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(it_says_whether_more_commands_wait),
      cmocka_unit_test(what_the_daemon_throws_away_is_no_command_to_come),
      cmocka_unit_test(what_is_passed_over_is_counted),
      cmocka_unit_test(the_ring_goes_round),
      cmocka_unit_test(entries_that_were_skipped_are_not_read_again),
      cmocka_unit_test(it_does_not_skip_from_where_it_does_not_stand),
      cmocka_unit_test(a_lost_position_is_found_by_the_live_one_of_two_equal_ids),
      cmocka_unit_test(a_ring_that_makes_no_sense_has_no_more_commands),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
