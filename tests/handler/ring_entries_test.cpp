// SPDX-License-Identifier: Apache-2.0
// Entries in foreign memory, one by one: an entry that makes no sense is not read.
#include "handler/ring_entries.h"

#include <vector>

#include "tests/cmocka.h"
#include "tests/handler/made_up_ring.h"

using ballast::handler::RingEntries;
using ballast::test::MadeUpRing;
namespace abi = ballast::handler::abi;

namespace {

void set_length(MadeUpRing& ring, std::uint32_t position, std::uint32_t len_op) {
  std::memcpy(ring.at(position), &len_op, sizeof len_op);
}

bool readable(MadeUpRing& ring, std::uint32_t position) {
  return RingEntries{ring.mapping()}.at(position).has_value();
}

void an_entry_is_what_the_kernel_wrote(void**) {
  MadeUpRing ring{8};
  ring.command(7);
  const auto entry = RingEntries{ring.mapping()}.at(0);
  assert_true(entry.has_value());
  assert_int_equal(entry->length, MadeUpRing::command_bytes);
  assert_int_equal(entry->cmd_id, 7);
  assert_true(entry->is_handed_over());
}

void a_command_without_a_known_length_is_droppable(void**) {
  for (unsigned code = 0; code < 256; ++code) {
    MadeUpRing ring{8};
    ring.command(1, static_cast<std::uint8_t>(code));
    const auto entry = RingEntries{ring.mapping()}.at(0);
    // tcmu_cdb_get_length of libtcmu 1.5.4.
    const bool unknown = (code >= 0x60 && code <= 0x7e) || code >= 0xc0;
    assert_int_equal(entry->droppable, unknown);
    assert_int_equal(entry->is_handed_over(), !unknown);
  }
}

void an_entry_of_no_length_is_none(void**) {
  MadeUpRing ring{8};
  ring.command(1);
  for (const auto operation : {abi::TCMU_OP_CMD, abi::TCMU_OP_PAD, abi::TCMU_OP_TMR}) {
    set_length(ring, 0, operation);
    assert_false(readable(ring, 0));
  }
}

void an_entry_beyond_the_ring_is_none(void**) {
  MadeUpRing ring{8};
  ring.command(1);
  set_length(ring, 0, (8 * MadeUpRing::command_bytes + 8) | abi::TCMU_OP_PAD);
  assert_false(readable(ring, 0));
  assert_false(readable(ring, 8 * MadeUpRing::command_bytes));
  assert_false(readable(ring, 0xfffffff8U));
}

void an_entry_at_an_odd_place_is_none(void**) {
  MadeUpRing ring{8};
  ring.command(1);
  assert_false(readable(ring, 4));
}

void a_command_shorter_than_its_request_is_none(void**) {
  MadeUpRing ring{8};
  ring.command(1);
  set_length(ring, 0, 16 | abi::TCMU_OP_CMD);
  assert_false(readable(ring, 0));
}

void a_cdb_outside_the_mapping_is_not_read(void**) {
  MadeUpRing ring{8};
  ring.command(1);
  const std::uint64_t outside = ring.mapping().size();
  std::memcpy(ring.at(0) + sizeof(abi::tcmu_cmd_entry_hdr) + offsetof(abi::tcmu_cmd_req, cdb_off),
              &outside, sizeof outside);
  assert_false(readable(ring, 0));
}

void a_ring_that_does_not_fit_its_mapping_has_no_entries(void**) {
  MadeUpRing ring{8};
  ring.command(1);
  ring.mailbox().cmdr_size += 8;
  const RingEntries entries{ring.mapping()};
  assert_int_equal(entries.size(), 0);
  assert_false(entries.at(0).has_value());
  std::size_t visited = 0;
  (void)entries.walk(0, 8, [&visited](auto, const auto&) { return ++visited > 0; });
  assert_int_equal(visited, 0);
}

void a_walk_ends_after_one_round_though_its_end_never_comes(void**) {
  MadeUpRing ring{2};
  ring.command(1);
  ring.command(2);
  std::size_t visited = 0;
  const RingEntries entries{ring.mapping()};
  (void)entries.walk(0, 4, [&visited](auto, const auto&) { return ++visited > 0; });
  assert_int_equal(visited, 2);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_entry_is_what_the_kernel_wrote),
      cmocka_unit_test(a_command_without_a_known_length_is_droppable),
      cmocka_unit_test(an_entry_of_no_length_is_none),
      cmocka_unit_test(an_entry_beyond_the_ring_is_none),
      cmocka_unit_test(an_entry_at_an_odd_place_is_none),
      cmocka_unit_test(a_command_shorter_than_its_request_is_none),
      cmocka_unit_test(a_cdb_outside_the_mapping_is_not_read),
      cmocka_unit_test(a_ring_that_does_not_fit_its_mapping_has_no_entries),
      cmocka_unit_test(a_walk_ends_after_one_round_though_its_end_never_comes),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
