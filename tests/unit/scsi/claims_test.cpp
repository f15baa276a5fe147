// SPDX-License-Identifier: Apache-2.0
// Walks every claim: what the tables, pages and reports offer works, and what they do not offer is
// refused.
#include "tests/unit/scsi/rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;
namespace asc = scsi::asc;

namespace {

Bytes8 inquiry_page(std::uint8_t page) {
  return {0x12, 0x01, page, 0x02, 0x00, 0x00};
}

Bytes8 report_codes(std::uint8_t options, std::uint8_t opcode = 0, std::uint16_t action = 0) {
  Bytes8 cdb(12);
  cdb[0] = 0xa3;
  cdb[1] = 0x0c;
  cdb[2] = options;
  cdb[3] = opcode;
  put16(cdb, 4, action);
  put32(cdb, 6, 0x10000);
  return cdb;
}

// A CDB of this operation that asks for little: one block where there is a count, PF where there is
// a mode list.
Bytes8 well_formed(const scsi::Operation& operation) {
  const bool counts = operation.needs_medium && operation.opcode != 0x25 &&
                      operation.opcode != 0x42 && operation.opcode != 0x89 &&
                      operation.opcode != 0x1d && !operation.has_service_action;
  Bytes8 cdb =
      counts ? cdb_of(operation.opcode, 0, 0, 1) : Bytes8(scsi::cdb_length(operation.opcode));
  cdb[0] = operation.opcode;
  if (operation.has_service_action) {
    cdb[1] = operation.service_action;
  }
  if (operation.opcode == 0x15 || operation.opcode == 0x55) {
    cdb[1] = 0x10;
  }
  if (operation.opcode == 0x1a || operation.opcode == 0x5a) {
    cdb[2] = 0x3f;
  }
  if (operation.opcode == 0x4d) {
    cdb[2] = 0x40;
  }
  if (operation.opcode == 0x1b) {
    cdb[4] = 0x01;
  }
  if (operation.opcode == 0x89) {
    cdb[13] = 1;
  }
  if (operation.opcode == 0xa3) {
    cdb[9] = 4;
  }
  return cdb;
}

std::size_t data_of(const scsi::Operation& operation) {
  return operation.opcode == 0x89 ? 1024 : 512;
}

void every_operation_in_the_table_is_served(void**) {
  for (const scsi::Operation& operation : scsi::operations()) {
    DiskRig rig{with_groups()};
    const Answer answer = rig.send(well_formed(operation), Bytes8(data_of(operation)));
    if (!answer.good()) {
      print_error("%s\n", operation.name);
    }
    assert_true(answer.good());
  }
}

void every_other_opcode_is_invalid(void**) {
  DiskRig rig{usual_config()};
  std::array<bool, 256> known{};
  for (const scsi::Operation& operation : scsi::operations()) {
    known[operation.opcode] = true;
  }
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    if (!known[opcode]) {
      Bytes8 cdb(16);
      cdb[0] = static_cast<std::uint8_t>(opcode);
      assert_true(rig.send(cdb).illegal(asc::invalid_command_operation_code));
    }
  }
}

void every_other_service_action_is_an_invalid_field(void**) {
  DiskRig rig{with_groups()};
  for (const std::uint8_t opcode : Bytes8{0x83, 0x84, 0x9e, 0xa3, 0xa4}) {
    for (std::uint8_t action = 0; action < 0x20; ++action) {
      bool other = false;
      if (scsi::find_operation(opcode, action, &other) == nullptr) {
        assert_true(other);
        Bytes8 cdb(16);
        cdb[0] = opcode;
        cdb[1] = action;
        assert_true(rig.send(cdb).bad_field(1, 4));
      }
    }
  }
}

void every_bit_outside_the_usage_map_is_refused(void**) {
  DiskRig rig{with_groups()};
  for (const scsi::Operation& operation : scsi::operations()) {
    const Bytes8 right = well_formed(operation);
    for (std::size_t byte = 1; byte < right.size(); ++byte) {
      const bool action_byte = byte == 1 && operation.has_service_action;
      for (int bit = 0; bit < 8; ++bit) {
        const auto mask = static_cast<std::uint8_t>(1 << bit);
        const bool in_action = action_byte && (mask & scsi::service_action_mask) != 0;
        if ((operation.usage[byte] & mask) != 0 || in_action) {
          continue;
        }
        Bytes8 cdb = right;
        cdb[byte] |= mask;
        const bool protection = byte == 1 && bit >= 5;
        assert_true(
            rig.send(cdb, Bytes8(data_of(operation))).bad_field(byte, protection ? 7 : bit));
      }
    }
  }
}

void every_page_in_the_list_of_pages_can_be_read(void**) {
  DiskRig rig{usual_config()};
  const Answer list = rig.ask(inquiry_page(0x00));
  assert_true(list.good());
  assert_int_equal(list.transferred, 4 + 6);
  std::array<bool, 256> listed{};
  for (std::size_t i = 4; i < list.transferred; ++i) {
    assert_true(i == 4 || list.reply[i - 1] < list.reply[i]);
    listed[list.reply[i]] = true;
    const Answer page = rig.ask(inquiry_page(list.reply[i]));
    assert_true(page.good());
    assert_int_equal(page.reply[1], list.reply[i]);
    assert_int_equal(be16(page.reply, 2) + 4u, page.transferred);
  }
  for (unsigned page = 0; page < 256; ++page) {
    if (!listed[page]) {
      assert_true(rig.ask(inquiry_page(static_cast<std::uint8_t>(page))).bad_field(2));
    }
  }
}

std::vector<scsi::Operation> all_reported() {
  std::vector<scsi::Operation> all;
  for (const std::span<const scsi::Operation> rows :
       {scsi::operations(), scsi::kernel_operations()}) {
    all.insert(all.end(), rows.begin(), rows.end());
  }
  return all;
}

void all_commands_are_the_table(void**) {
  DiskRig rig{with_groups()};
  for (const bool timeouts : {false, true}) {
    const std::size_t step = timeouts ? 20 : 8;
    const Answer answer = rig.ask(report_codes(timeouts ? 0x80 : 0x00), 4096);
    assert_true(answer.good());
    const std::vector<scsi::Operation> reported = all_reported();
    assert_int_equal(answer.transferred, 4 + reported.size() * step);
    assert_int_equal(be32(answer.reply, 0), answer.transferred - 4);
    std::size_t at = 4;
    for (const scsi::Operation& operation : reported) {
      assert_int_equal(answer.reply[at], operation.opcode);
      assert_int_equal(be16(answer.reply, at + 2), operation.service_action);
      assert_int_equal(answer.reply[at + 5],
                       (timeouts ? 2 : 0) | (operation.has_service_action ? 1 : 0));
      assert_int_equal(be16(answer.reply, at + 6), scsi::cdb_length(operation.opcode));
      if (timeouts) {
        assert_int_equal(be16(answer.reply, at + 8), 10);
      }
      at += step;
    }
  }
}

void what_a_lun_cannot_do_it_does_not_report(void**) {
  DiskRig rig{with_groups(), Bytes{4 << 20}, {}, without_unmap};
  const Answer all = rig.ask(report_codes(0), 4096);
  assert_int_equal(all.transferred, 4 + (all_reported().size() - 2) * 8);
  const Answer unmap = rig.ask(report_codes(1, 0x42));
  assert_int_equal(unmap.reply[1], 0x01);
  const Answer write_same = rig.ask(report_codes(1, 0x93));
  assert_int_equal(write_same.reply[4 + 1], 0x00);  // no UNMAP
  DiskRig alone{usual_config()};
  assert_int_equal(alone.ask(report_codes(2, 0xa3, 0x0a)).reply[1], 0x01);  // no groups
  assert_int_equal(alone.ask(report_codes(2, 0xa4, 0x0a)).reply[1], 0x01);
  // No service action of this code is left, so nobody need name one.
  assert_int_equal(alone.ask(report_codes(1, 0xa4)).reply[1], 0x01);
  const Bytes8 set{0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  assert_true(alone.send(set).illegal(asc::invalid_command_operation_code));
  const Bytes8 report{0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0};
  assert_true(alone.ask(report).bad_field(1, 4));
}

void one_command_has_its_usage_map(void**) {
  DiskRig rig{with_groups()};
  for (const scsi::Operation& operation : all_reported()) {
    const std::size_t length = scsi::cdb_length(operation.opcode);
    const std::uint8_t options = operation.has_service_action ? 2 : 1;
    for (const std::uint8_t option : Bytes8{options, 3}) {
      const Answer answer =
          rig.ask(report_codes(option, operation.opcode, operation.service_action));
      assert_true(answer.good());
      assert_int_equal(answer.transferred, 4 + length);
      assert_int_equal(answer.reply[1], 0x03);
      assert_int_equal(be16(answer.reply, 2), length);
      assert_memory_equal(answer.reply.data() + 4, operation.usage.data(), length);
    }
    const auto wrong = static_cast<std::uint8_t>(3 - options);
    assert_true(
        rig.ask(report_codes(wrong, operation.opcode, operation.service_action)).bad_field(2));
    const auto timed = static_cast<std::uint8_t>(0x80 | options);
    const Answer answer = rig.ask(report_codes(timed, operation.opcode, operation.service_action));
    assert_int_equal(answer.transferred, 4 + length + 12);
    assert_int_equal(answer.reply[1], 0x83);
    assert_int_equal(be16(answer.reply, 4 + length), 10);
  }
}

struct Timeouts {
  std::uint64_t nominal;
  std::uint64_t recommended;
};

Timeouts timeouts_of(DiskRig& rig, std::uint8_t opcode, std::optional<std::uint8_t> action = {}) {
  const auto options = static_cast<std::uint8_t>(action.has_value() ? 0x82 : 0x81);
  const Answer answer = rig.ask(report_codes(options, opcode, action.value_or(0)));
  const std::size_t at = 4 + scsi::cdb_length(opcode);
  return {be32(answer.reply, at + 4), be32(answer.reply, at + 8)};
}

void a_command_has_the_deadline_for_its_timeout_with_time_for_the_answer(void**) {
  DiskRig rig{usual_config()};
  assert_int_equal(timeouts_of(rig, 0x88).nominal, 0);  // nobody keeps a deadline
  rig.disk->set_deadline(std::chrono::milliseconds{20500});
  for (const std::uint8_t opcode : Bytes8{0x00, 0x12, 0x28, 0x88, 0x8a, 0x91, 0x42}) {
    assert_int_equal(timeouts_of(rig, opcode).nominal, 21);
    assert_int_equal(timeouts_of(rig, opcode).recommended, 31);
  }
  rig.disk->set_deadline(std::chrono::seconds{5});
  const Answer all = rig.ask(report_codes(0x80), 4096);
  assert_int_equal(be32(all.reply, 4 + 8 + 4), 5);
  assert_int_equal(be32(all.reply, 4 + 8 + 8), 15);
}

void a_command_that_may_be_held_past_the_deadline_has_no_timeout(void**) {
  DiskRig rig{usual_config()};
  rig.disk->set_deadline(std::chrono::seconds{20});
  // COMPARE AND WRITE; REPORT LUNS, which the kernel answers
  for (const std::uint8_t opcode : Bytes8{0x89, 0xa0}) {
    assert_int_equal(timeouts_of(rig, opcode).nominal, 0);
    assert_int_equal(timeouts_of(rig, opcode).recommended, 0);
  }
  assert_int_equal(timeouts_of(rig, 0x5e, 0).recommended, 0);  // PERSISTENT RESERVE IN
  DiskRig shared{
      usual_config(), Bytes{4 << 20}, {}, [](SpyBackend& spy) { spy.pretend().exclusive = false; }};
  shared.disk->set_deadline(std::chrono::seconds{20});
  assert_int_equal(timeouts_of(shared, 0x8a).recommended, 0);
  assert_int_equal(timeouts_of(shared, 0x88).recommended, 30);
}

// The kernel answers them; should one come all the same, it is unknown here.
void what_the_kernel_answers_is_reported_and_not_served(void**) {
  DiskRig rig{usual_config()};
  for (const scsi::Operation& operation : scsi::kernel_operations()) {
    Bytes8 cdb(scsi::cdb_length(operation.opcode));
    cdb[0] = operation.opcode;
    cdb[1] = operation.service_action;
    assert_true(rig.ask(cdb).illegal(scsi::asc::invalid_command_operation_code));
  }
  scsi::DiskConfig without = usual_config();
  without.kernel_reserves = false;  // emulate_pr=0
  DiskRig other{without};
  assert_int_equal(other.ask(report_codes(2, 0x5e, 0)).reply[1], 0x01);
  assert_int_equal(other.ask(report_codes(1, 0x5e)).reply[1], 0x01);
  assert_true(rig.ask(report_codes(1, 0x5e)).bad_field(2, 2));
  assert_int_equal(other.ask(report_codes(1, 0xa0)).reply[1], 0x03);
}

void one_command_that_there_is_not_is_not_supported(void**) {
  DiskRig rig{usual_config()};
  for (const Bytes8& cdb : {report_codes(1, 0xff), report_codes(2, 0xff, 3), report_codes(3, 0xff),
                            report_codes(2, 0x9e, 0x1f), report_codes(3, 0x28, 1),
                            report_codes(2, 0x9e, 0x110), report_codes(3, 0xa3, 0x10c)}) {
    const Answer answer = rig.ask(cdb);
    assert_true(answer.good());
    assert_int_equal(answer.transferred, 4);
    assert_int_equal(answer.reply[1], 0x01);
  }
  assert_true(rig.ask(report_codes(4)).bad_field(2, 2));
}

void a_longer_transfer_is_tolerated_where_nobody_asked_for_a_limit(void**) {
  scsi::DiskConfig config = usual_config();
  config.tolerated_transfer_blocks = 4096;
  DiskRig rig{config};
  assert_int_equal(be32(rig.ask(inquiry_page(0xb0)).reply, 8), 2048);
  assert_true(rig.ask(cdb_of(0x88, 0, 0, 4096), 4096 * 512).good());
  assert_true(rig.ask(cdb_of(0x88, 0, 0, 4097), 4097 * 512).bad_field(10));
}

void task_management_is_reported(void**) {
  DiskRig rig{usual_config()};
  const Bytes8 cdb{0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0};
  const Answer answer = rig.ask(cdb);
  assert_int_equal(answer.transferred, 4);
  assert_int_equal(answer.reply[0], 0x88);
  assert_true(rig.ask({0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0}).bad_field(6));
  const Answer extended = rig.ask({0xa3, 0x0d, 0x80, 0, 0, 0, 0, 0, 0, 16, 0, 0});
  assert_int_equal(extended.transferred, 16);
  assert_int_equal(extended.reply[3], 12);
}

void block_limits_hold_at_the_limit_and_not_beyond(void**) {
  DiskRig rig{usual_config()};
  const Answer page = rig.ask(inquiry_page(0xb0));
  assert_int_equal(page.transferred, 64);
  const std::uint32_t transfer = be32(page.reply, 8);
  assert_int_equal(transfer, 2048);
  assert_true(rig.ask(cdb_of(0x88, 0, 0, transfer), transfer * 512).good());
  for (std::uint32_t more = 1; more <= 255; ++more) {
    assert_true(
        rig.ask(cdb_of(0x88, 0, 0, transfer + more), (transfer + more) * 512).bad_field(10));
  }

  const std::uint64_t same = be64(page.reply, 36);
  assert_int_equal(same * 512, 1310720);
  assert_true(rig.send(cdb_of(0x93, 0, 0, same), pattern(512)).good());
  for (std::uint64_t more = 1; more <= 255; ++more) {
    assert_true(rig.send(cdb_of(0x93, 0, 0, same + more), pattern(512)).bad_field(10));
  }
  assert_int_equal(page.reply[4] & 0x01, 0x01);  // WSNZ
  assert_true(rig.send(cdb_of(0x93, 0, 0, 0), pattern(512)).bad_field(10));

  const std::size_t swap = page.reply[5];
  assert_int_equal(swap, 128);
  Bytes8 cdb = cdb_of(0x89, 0, 0, 0);
  cdb[13] = static_cast<std::uint8_t>(swap);
  Bytes8 both = rig.stored(0, swap * 512);
  both.resize(2 * swap * 512, 0x77);
  assert_true(rig.send(cdb, both).good());
  for (std::size_t blocks = swap + 1; blocks <= 255; ++blocks) {
    cdb[13] = static_cast<std::uint8_t>(blocks);
    assert_true(rig.send(cdb, Bytes8(2 * blocks * 512)).bad_field(13));
  }

  assert_int_equal(be16(page.reply, 6), 8);   // OPTIMAL TRANSFER LENGTH GRANULARITY
  assert_int_equal(be32(page.reply, 28), 8);  // OPTIMAL UNMAP GRANULARITY: 4 KiB
  assert_int_equal(be32(page.reply, 32), 0x80000000);
}

void unmap_limits_hold_at_the_limit_and_not_beyond(void**) {
  DiskRig rig{usual_config(), Bytes{1 << 30}};
  const Answer page = rig.ask(inquiry_page(0xb0));
  const std::uint32_t count = be32(page.reply, 20);
  const std::uint32_t descriptors = be32(page.reply, 24);
  assert_int_equal(count, 1 << 20);  // 512 MiB; libiscsi finds more insane
  assert_int_equal(descriptors, 64);
  const auto send = [&rig](std::size_t pieces, std::uint32_t blocks_each) {
    Bytes8 list(8 + pieces * 16);
    put16(list, 0, list.size() - 2);
    put16(list, 2, list.size() - 8);
    for (std::size_t i = 0; i < pieces; ++i) {
      put32(list, 16 + i * 16, blocks_each);
    }
    Bytes8 cdb(10);
    cdb[0] = 0x42;
    put16(cdb, 7, list.size());
    return rig.send(cdb, list);
  };
  assert_true(send(1, count).good());
  assert_true(send(descriptors, 1).good());
  for (std::uint32_t more = 1; more <= 255; ++more) {
    assert_true(send(1, count + more).bad_parameter(16));
    assert_true(send(descriptors + more, 1).bad_parameter(2));
  }
}

void provisioning_bits_say_what_unmaps(void**) {
  DiskRig rig{usual_config()};
  const Answer page = rig.ask(inquiry_page(0xb2));
  assert_int_equal(page.transferred, 8);
  assert_int_equal(page.reply[5], 0xe4);  // LBPU, LBPWS, LBPWS10, LBPRZ
  assert_int_equal(page.reply[6], 0x02);  // thin
  // LBPWS10 and LBPWS: what they unmap reads as zeros (LBPRZ), and gives its space back.
  for (const std::uint8_t opcode : Bytes8{0x41, 0x93}) {
    rig.store_bytes(0, pattern(8192));
    assert_true(rig.send(cdb_of(opcode, 0x08, 0, 16), Bytes8(512)).good());
    assert_true(rig.stored(0, 8192) == Bytes8(8192));
    const Answer status = rig.ask(cdb_of(0x9e, 0x12, 0, 24));
    assert_int_equal(status.reply[8 + 12], 1);
  }
}

void dpofua_is_claimed_and_taken(void**) {
  DiskRig rig{usual_config()};
  const Answer sense = rig.ask({0x1a, 0x08, 0x3f, 0, 0xff, 0});
  assert_int_equal(sense.reply[2] & 0x10, 0x10);
  for (const std::uint8_t opcode : Bytes8{0x28, 0xa8, 0x88, 0x2a, 0xaa, 0x8a}) {
    assert_true(rig.send(cdb_of(opcode, 0x18, 0, 1), Bytes8(512)).good());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_operation_in_the_table_is_served),
      cmocka_unit_test(every_other_opcode_is_invalid),
      cmocka_unit_test(every_other_service_action_is_an_invalid_field),
      cmocka_unit_test(every_bit_outside_the_usage_map_is_refused),
      cmocka_unit_test(every_page_in_the_list_of_pages_can_be_read),
      cmocka_unit_test(all_commands_are_the_table),
      cmocka_unit_test(what_a_lun_cannot_do_it_does_not_report),
      cmocka_unit_test(one_command_has_its_usage_map),
      cmocka_unit_test(a_command_has_the_deadline_for_its_timeout_with_time_for_the_answer),
      cmocka_unit_test(a_command_that_may_be_held_past_the_deadline_has_no_timeout),
      cmocka_unit_test(what_the_kernel_answers_is_reported_and_not_served),
      cmocka_unit_test(one_command_that_there_is_not_is_not_supported),
      cmocka_unit_test(task_management_is_reported),
      cmocka_unit_test(a_longer_transfer_is_tolerated_where_nobody_asked_for_a_limit),
      cmocka_unit_test(block_limits_hold_at_the_limit_and_not_beyond),
      cmocka_unit_test(unmap_limits_hold_at_the_limit_and_not_beyond),
      cmocka_unit_test(provisioning_bits_say_what_unmaps),
      cmocka_unit_test(dpofua_is_claimed_and_taken),
  };
  return cmocka_run_group_tests_name("claims", tests, nullptr, nullptr);
}
