// SPDX-License-Identifier: Apache-2.0
// READ, WRITE, VERIFY and similar commands.
#include "tests/unit/scsi/rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;
using scsi::SenseKey;
namespace asc = scsi::asc;

namespace {

constexpr std::uint64_t blocks = 8192;  // of 512: 4 MiB

void every_read_and_write_moves_its_blocks(void**) {
  DiskRig rig{usual_config()};
  std::uint8_t seed = 1;
  for (const auto& [write, read] : {std::pair{0x0a, 0x08}, std::pair{0x2a, 0x28},
                                    std::pair{0xaa, 0xa8}, std::pair{0x8a, 0x88}}) {
    const Bytes8 data = pattern(5 * 512, ++seed);
    const auto write_cdb = cdb_of(static_cast<std::uint8_t>(write), 0, 100, 5);
    const Answer written = rig.send(write_cdb, data, 700);
    assert_true(written.good());
    assert_int_equal(written.transferred, data.size());
    assert_true(rig.stored(51200, data.size()) == data);
    const Answer answer = rig.ask(cdb_of(static_cast<std::uint8_t>(read), 0, 100, 5), 5 * 512);
    assert_true(answer.good());
    assert_true(answer.reply == data);
  }
}

void a_length_of_zero_is_256_for_six_byte_cdbs_only(void**) {
  DiskRig rig{usual_config()};
  assert_int_equal(rig.ask(cdb_of(0x08, 0, 0, 0), 256 * 512).transferred, 256 * 512);
  assert_int_equal(rig.ask(cdb_of(0x28, 0, 0, 0), 512).transferred, 0);
  assert_true(rig.ask(cdb_of(0x88, 0, blocks, 0), 0).good());
  assert_true(rig.ask(cdb_of(0x88, 0, blocks + 1, 0), 0).illegal(asc::lba_out_of_range));
}

void beyond_the_end_is_out_of_range_and_touches_nothing(void**) {
  DiskRig rig{usual_config()};
  const Bytes8 two = pattern(1024);
  for (const std::uint8_t opcode : Bytes8{0x28, 0xa8, 0x88, 0x2a, 0xaa, 0x8a, 0x2e, 0xae, 0x8e}) {
    assert_true(rig.send(cdb_of(opcode, 0, blocks - 1, 2), two).illegal(asc::lba_out_of_range));
    assert_true(rig.send(cdb_of(opcode, 0, blocks, 1), two).illegal(asc::lba_out_of_range));
  }
  assert_true(rig.send(cdb_of(0x8a, 0, ~std::uint64_t{0}, 2), two).illegal(asc::lba_out_of_range));
  assert_true(rig.send(cdb_of(0x8a, 0, 0, 0xffffffff), two).illegal(asc::lba_out_of_range));
  assert_true(rig.send(cdb_of(0x0a, 0, 0x1fffff, 1), two).illegal(asc::lba_out_of_range));
  assert_true(rig.spy->ops.empty());
}

void a_transfer_longer_than_its_maximum_is_refused(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.ask(cdb_of(0x28, 0, 0, 2048), 2048 * 512).good());
  assert_true(rig.ask(cdb_of(0x28, 0, 0, 2049), 2049 * 512).bad_field(7));
  assert_true(rig.ask(cdb_of(0x88, 0, 0, 2049), 2049 * 512).bad_field(10));
  assert_true(rig.ask(cdb_of(0xaa, 0, 0, 2049), 2049 * 512).bad_field(6));
  assert_int_equal(rig.spy->ops.size(), 1);
}

void too_little_room_is_refused_and_touches_nothing(void**) {
  DiskRig rig{usual_config()};
  const scsi::AdditionalSense what = asc::invalid_field_in_command_information_unit;
  assert_true(rig.ask(cdb_of(0x28, 0, 0, 2), 1023).illegal(what));
  assert_true(rig.send(cdb_of(0x2a, 0, 0, 2), pattern(1023)).illegal(what));
  assert_true(rig.send(cdb_of(0x2a, 0, 0, 1), {}).illegal(what));
  assert_true(rig.spy->ops.empty());
}

void room_beyond_the_transfer_stays_as_it_was(void**) {
  DiskRig rig{usual_config()};
  const Answer answer = rig.ask(cdb_of(0x28, 0, 0, 1), 2000);
  assert_true(answer.good());
  assert_int_equal(answer.transferred, 512);
  assert_true(std::all_of(answer.data.begin() + 512, answer.data.end(),
                          [](std::uint8_t byte) { return byte == 0xa5; }));
}

void protection_information_is_refused(void**) {
  DiskRig rig{usual_config()};
  for (const std::uint8_t opcode :
       Bytes8{0x28, 0xa8, 0x88, 0x2a, 0xaa, 0x8a, 0x2f, 0xaf, 0x8f, 0x2e}) {
    assert_true(rig.send(cdb_of(opcode, 0x20, 0, 1), pattern(512)).bad_field(1, 7));
    assert_true(rig.send(cdb_of(opcode, 0x80, 0, 1), pattern(512)).bad_field(1, 7));
  }
}

void naca_is_refused(void**) {
  DiskRig rig{usual_config()};
  Bytes8 cdb = cdb_of(0x28, 0, 0, 1);
  cdb[9] = 0x04;
  assert_true(rig.ask(cdb).bad_field(9, 2));
  Bytes8 ready(6);
  ready[5] = 0x04;
  assert_true(rig.send(ready).bad_field(5, 2));
}

void a_group_number_means_nothing(void**) {
  DiskRig rig{usual_config()};
  Bytes8 cdb = cdb_of(0x28, 0, 0, 1);
  cdb[6] = 0x1f;
  assert_true(rig.ask(cdb).good());
}

void a_cdb_cut_short_is_refused(void**) {
  DiskRig rig{usual_config()};
  Bytes8 cdb = cdb_of(0x28, 0, 0, 1);
  cdb.resize(9);
  assert_true(rig.ask(cdb).illegal(asc::invalid_field_in_cdb));
  assert_true(rig.ask({}).illegal(asc::invalid_command_operation_code));
}

void fua_makes_a_write_durable(void**) {
  DiskRig rig{usual_config(), Bytes{4 << 20}, {}, like_a_file};
  assert_true(rig.send(cdb_of(0x2a, 0x00, 0, 1), pattern(512)).good());
  assert_int_equal(rig.spy->ops.size(), 1);
  for (const std::uint8_t flags : Bytes8{0x08, 0x18, 0x02}) {
    rig.spy->ops.clear();
    assert_true(rig.send(cdb_of(0x2a, flags, 0, 1), pattern(512)).good());
    assert_int_equal(rig.spy->ops.size(), 2);
    assert_string_equal(rig.spy->ops[1].name.c_str(), "flush");
  }
}

void all_bits_of_a_six_byte_lba_are_address(void**) {
  DiskRig rig{usual_config(), Bytes{1 << 30}, {}, like_a_file};
  assert_true(rig.send(cdb_of(0x0a, 0, 0x1fffff, 1), pattern(512)).good());
  assert_int_equal(rig.spy->ops.size(), 1);  // none of them is FUA
  assert_int_equal(rig.spy->ops[0].offset, 0x1fffff * 512);
}

void fua_on_a_read_writes_the_cache_out_first(void**) {
  DiskRig rig{usual_config(), Bytes{4 << 20}, {}, like_a_file};
  assert_true(rig.ask(cdb_of(0x28, 0x08, 0, 1)).good());
  assert_int_equal(rig.spy->ops.size(), 2);
  assert_string_equal(rig.spy->ops[0].name.c_str(), "flush");
}

void a_write_protected_lun_refuses_every_change(void**) {
  scsi::DiskConfig config = usual_config();
  config.read_only = true;
  DiskRig rig{config};
  for (const std::uint8_t opcode :
       Bytes8{0x0a, 0x2a, 0xaa, 0x8a, 0x2e, 0xae, 0x8e, 0x41, 0x93, 0x42, 0x89}) {
    Bytes8 cdb(scsi::cdb_length(opcode));
    cdb[0] = opcode;
    assert_true(rig.send(cdb).failed(SenseKey::data_protect, asc::write_protected));
  }
  assert_true(rig.ask(cdb_of(0x28, 0, 0, 1)).good());
}

void results_of_the_backend_become_sense_or_status(void**) {
  DiskRig rig{usual_config()};
  const auto write = [&rig](IoStatus status) {
    rig.spy->failures["write"] = status;
    return rig.send(cdb_of(0x2a, 0, 7, 1), pattern(512));
  };
  Answer answer = write(IoStatus::medium_error);
  assert_true(answer.failed(SenseKey::medium_error, asc::write_error));
  assert_int_equal(answer.information().value_or(0), 7);
  assert_true(
      write(IoStatus::no_space).failed(SenseKey::data_protect, asc::space_allocation_failed));
  assert_true(
      write(IoStatus::write_protected).failed(SenseKey::data_protect, asc::write_protected));
  assert_true(write(IoStatus::out_of_range).illegal(asc::lba_out_of_range));
  assert_true(write(IoStatus::not_ready).failed(SenseKey::not_ready, asc::cause_not_reportable));
  assert_true(write(IoStatus::no_resource).status == scsi::Status::task_set_full);
  assert_true(write(IoStatus::cancelled).status == scsi::Status::busy);
  assert_int_equal(answer.transferred, 0);
}

void a_failed_read_is_an_unrecovered_read_error(void**) {
  DiskRig rig{usual_config()};
  rig.spy->failures["read"] = IoStatus::medium_error;
  Bytes8 compare_and_write = cdb_of(0x89, 0, 9, 0);
  compare_and_write[13] = 1;
  for (const Bytes8& cdb :
       {cdb_of(0x28, 0, 9, 1), cdb_of(0x2f, 0x00, 9, 1), cdb_of(0x2f, 0x02, 9, 1),
        cdb_of(0x2f, 0x06, 9, 1), compare_and_write}) {
    const Answer answer = rig.send(cdb, pattern(cdb[0] == 0x89 ? 1024 : 512));
    assert_true(answer.failed(SenseKey::medium_error, asc::unrecovered_read_error));
    assert_int_equal(answer.information().value_or(0), 9);
    assert_int_equal(answer.transferred, 0);
  }
}

void verify_without_data_reads_the_medium(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.send(cdb_of(0x8f, 0x10, 0, 2048)).good());
  std::uint64_t read = 0;
  for (const BackendOp& op : rig.spy->ops) {
    assert_string_equal(op.name.c_str(), "read");
    read += op.length;
  }
  assert_int_equal(read, 2048 * 512);
}

void verify_compares_byte_by_byte(void**) {
  DiskRig rig{usual_config()};
  Bytes8 data = pattern(1024 * 512);
  rig.store_bytes(512, data);
  for (const std::uint8_t opcode : Bytes8{0x2f, 0xaf, 0x8f}) {
    assert_true(rig.send(cdb_of(opcode, 0x02, 1, 1024), data, 1000).good());
  }
  data[400000] ^= 1;
  const Answer answer = rig.send(cdb_of(0x2f, 0x02, 1, 1024), data, 1000);
  assert_true(answer.failed(SenseKey::miscompare, asc::miscompare_during_verify));
  assert_int_equal(answer.information().value_or(0), 400000);
}

void verify_compares_each_block_with_one(void**) {
  DiskRig rig{usual_config()};
  const Bytes8 block = pattern(512);
  assert_true(rig.send(cdb_of(0x93, 0, 0, 1000), block).good());
  assert_true(rig.send(cdb_of(0x8f, 0x06, 0, 1000), block, 5).good());
  const Answer answer = rig.send(cdb_of(0x8f, 0x06, 0, 1001), block);
  assert_true(answer.failed(SenseKey::miscompare, asc::miscompare_during_verify));
  assert_int_equal(answer.information().value_or(0), 512000);
}

void verifying_no_blocks_needs_no_data(void**) {
  DiskRig rig{usual_config()};
  for (const std::uint8_t bytchk : Bytes8{0x00, 0x02, 0x06}) {
    assert_true(rig.ask(cdb_of(0x2f, bytchk, 0, 0), 0).good());
  }
  assert_true(rig.spy->ops.empty());
}

void the_reserved_bytchk_is_refused(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.send(cdb_of(0x2f, 0x04, 0, 1), pattern(512)).bad_field(1, 2));
}

void write_and_verify_writes_durably_then_compares(void**) {
  DiskRig rig{usual_config(), Bytes{4 << 20}, {}, like_a_file};
  const Bytes8 data = pattern(1024);
  assert_true(rig.send(cdb_of(0x2e, 0x02, 4, 2), data).good());
  assert_int_equal(rig.spy->ops.size(), 3);
  assert_string_equal(rig.spy->ops[0].name.c_str(), "write");
  assert_string_equal(rig.spy->ops[1].name.c_str(), "flush");
  assert_string_equal(rig.spy->ops[2].name.c_str(), "read");
  assert_true(rig.stored(2048, 1024) == data);
}

void compare_and_write_swaps_if_equal(void**) {
  DiskRig rig{usual_config()};
  const Bytes8 before = pattern(1024, 3);
  const Bytes8 after = pattern(1024, 8);
  rig.store_bytes(1024, before);
  Bytes8 both = before;
  both.insert(both.end(), after.begin(), after.end());
  Bytes8 cdb = cdb_of(0x89, 0, 2, 0);
  cdb[13] = 2;
  assert_true(rig.send(cdb, both, 300).good());
  assert_true(rig.stored(1024, 1024) == after);
  const Answer answer = rig.send(cdb, both);
  assert_true(answer.failed(SenseKey::miscompare, asc::miscompare_during_verify));
  assert_true(answer.information().has_value());
  assert_true(rig.stored(1024, 1024) == after);
}

void a_compare_and_write_that_fails_to_write_is_a_write_error(void**) {
  DiskRig rig{usual_config()};
  rig.spy->failures["write"] = IoStatus::medium_error;
  Bytes8 cdb = cdb_of(0x89, 0, 2, 0);
  cdb[13] = 1;
  assert_true(rig.send(cdb, Bytes8(1024)).failed(SenseKey::medium_error, asc::write_error));
}

void compare_and_write_wants_exactly_its_data(void**) {
  DiskRig rig{usual_config()};
  Bytes8 cdb = cdb_of(0x89, 0, 0, 0);
  cdb[13] = 1;
  const scsi::AdditionalSense what = asc::invalid_field_in_command_information_unit;
  assert_true(rig.send(cdb, pattern(512)).illegal(what));
  assert_true(rig.send(cdb, pattern(2048)).illegal(what));
  assert_true(rig.spy->ops.empty());
}

void synchronize_cache_judges_the_range_and_flushes(void**) {
  DiskRig rig{usual_config(), Bytes{4 << 20}, {}, like_a_file};
  assert_true(rig.send(cdb_of(0x35, 0x02, 0, 0)).good());
  assert_true(rig.send(cdb_of(0x91, 0x00, blocks - 1, 1)).good());
  assert_int_equal(rig.spy->ops.size(), 2);
  assert_true(rig.send(cdb_of(0x35, 0, blocks, 1)).illegal(asc::lba_out_of_range));
  assert_true(rig.send(cdb_of(0x91, 0, 0, blocks + 1)).illegal(asc::lba_out_of_range));
  assert_int_equal(rig.spy->ops.size(), 2);
}

void pre_fetch_judges_the_range(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.send(cdb_of(0x34, 0x02, 0, 256)).good());
  assert_true(rig.send(cdb_of(0x90, 0, 0, 0)).good());
  assert_true(rig.send(cdb_of(0x90, 0, blocks, 1)).illegal(asc::lba_out_of_range));
  assert_true(rig.spy->ops.empty());
}

void a_read_that_failed_has_transferred_nothing(void**) {
  for (const IoStatus status : {IoStatus::no_resource, IoStatus::medium_error}) {
    DiskRig rig{usual_config()};
    rig.spy->failures["read"] = status;
    const Answer answer = rig.ask(cdb_of(0x28, 0, 0, 8), 4096);
    assert_false(answer.good());
    assert_int_equal(answer.transferred, 0);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_read_and_write_moves_its_blocks),
      cmocka_unit_test(a_length_of_zero_is_256_for_six_byte_cdbs_only),
      cmocka_unit_test(beyond_the_end_is_out_of_range_and_touches_nothing),
      cmocka_unit_test(a_transfer_longer_than_its_maximum_is_refused),
      cmocka_unit_test(too_little_room_is_refused_and_touches_nothing),
      cmocka_unit_test(room_beyond_the_transfer_stays_as_it_was),
      cmocka_unit_test(protection_information_is_refused),
      cmocka_unit_test(naca_is_refused),
      cmocka_unit_test(a_group_number_means_nothing),
      cmocka_unit_test(a_cdb_cut_short_is_refused),
      cmocka_unit_test(fua_makes_a_write_durable),
      cmocka_unit_test(all_bits_of_a_six_byte_lba_are_address),
      cmocka_unit_test(fua_on_a_read_writes_the_cache_out_first),
      cmocka_unit_test(a_write_protected_lun_refuses_every_change),
      cmocka_unit_test(results_of_the_backend_become_sense_or_status),
      cmocka_unit_test(a_failed_read_is_an_unrecovered_read_error),
      cmocka_unit_test(verify_without_data_reads_the_medium),
      cmocka_unit_test(verify_compares_byte_by_byte),
      cmocka_unit_test(verifying_no_blocks_needs_no_data),
      cmocka_unit_test(verify_compares_each_block_with_one),
      cmocka_unit_test(the_reserved_bytchk_is_refused),
      cmocka_unit_test(write_and_verify_writes_durably_then_compares),
      cmocka_unit_test(compare_and_write_swaps_if_equal),
      cmocka_unit_test(a_compare_and_write_that_fails_to_write_is_a_write_error),
      cmocka_unit_test(compare_and_write_wants_exactly_its_data),
      cmocka_unit_test(synchronize_cache_judges_the_range_and_flushes),
      cmocka_unit_test(pre_fetch_judges_the_range),
      cmocka_unit_test(a_read_that_failed_has_transferred_nothing),
  };
  return cmocka_run_group_tests_name("medium", tests, nullptr, nullptr);
}
