// SPDX-License-Identifier: Apache-2.0
// WRITE SAME, UNMAP, GET LBA STATUS.
#include "tests/unit/scsi/rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;
using scsi::SenseKey;
namespace asc = scsi::asc;

namespace {

constexpr std::uint64_t blocks = 8192;
constexpr std::uint64_t most = 2560;  // of 512: 1280 KiB

using Ops = std::vector<BackendOp>;

struct Piece {
  std::uint64_t lba;
  std::uint32_t count;
};

Bytes8 unmap_cdb(std::size_t list_length) {
  Bytes8 cdb(10);
  cdb[0] = 0x42;
  put16(cdb, 7, list_length);
  return cdb;
}

Bytes8 unmap_list(const std::vector<Piece>& pieces) {
  Bytes8 list(8 + pieces.size() * 16);
  put16(list, 0, list.size() - 2);
  put16(list, 2, list.size() - 8);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    put64(list, 8 + i * 16, pieces[i].lba);
    put32(list, 16 + i * 16, pieces[i].count);
  }
  return list;
}

Answer unmap(DiskRig& rig, const std::vector<Piece>& pieces) {
  const Bytes8 list = unmap_list(pieces);
  return rig.send(unmap_cdb(list.size()), list, 7);
}

void write_same_takes_up_to_its_maximum(void**) {
  DiskRig rig{usual_config()};
  const Bytes8 block = pattern(512);
  assert_true(rig.send(cdb_of(0x41, 0, 1, most), block).good());
  assert_true(rig.stored(512, 512) == block);
  assert_true(rig.stored(most * 512, 512) == block);
  assert_true(rig.stored((most + 1) * 512, 512) == Bytes8(512));
  rig.spy->ops.clear();
  assert_true(rig.send(cdb_of(0x41, 0, 0, most + 1), block).bad_field(7));
  assert_true(rig.send(cdb_of(0x93, 0, 0, most + 1), block).bad_field(10));
  assert_true(rig.spy->ops.empty());
}

void write_same_of_no_blocks_is_refused(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.send(cdb_of(0x41, 0, 0, 0), pattern(512)).bad_field(7));
  assert_true(rig.send(cdb_of(0x93, 0, 0, 0), pattern(512)).bad_field(10));
  assert_true(rig.spy->ops.empty());
}

void write_same_past_the_end_writes_nothing(void**) {
  DiskRig rig{usual_config()};
  assert_true(
      rig.send(cdb_of(0x41, 0, blocks - 1, 2), pattern(512)).illegal(asc::lba_out_of_range));
  assert_true(rig.send(cdb_of(0x93, 0x08, blocks, 1), Bytes8(512)).illegal(asc::lba_out_of_range));
  assert_true(rig.spy->ops.empty());
}

void write_same_wants_exactly_one_block(void**) {
  DiskRig rig{usual_config()};
  const scsi::AdditionalSense what = asc::invalid_field_in_command_information_unit;
  for (const std::uint8_t opcode : Bytes8{0x41, 0x93}) {
    for (const std::size_t length : std::vector<std::size_t>{0, 256, 511, 513, 1024}) {
      assert_true(rig.send(cdb_of(opcode, 0, 0, 1), pattern(length)).illegal(what));
    }
  }
  assert_true(rig.spy->ops.empty());
}

void a_zero_payload_is_a_zeroing_and_unmaps_if_asked(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.send(cdb_of(0x93, 0x00, 0, most), Bytes8(512), 100).good());
  assert_true(rig.send(cdb_of(0x93, 0x08, 0, most), Bytes8(512)).good());
  assert_true(rig.spy->ops == (Ops{{"zero", 0, most * 512, false}, {"zero", 0, most * 512, true}}));
}

// LIO lets it pass to a mapped LUN that is write-protected: it looks at data-out alone.
void write_same_without_data_out_is_refused(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.send(cdb_of(0x93, 0x01, 0, 1)).bad_field(1, 0));
  assert_true(rig.send(cdb_of(0x93, 0x09, 0, 1)).bad_field(1, 0));
  assert_true(rig.spy->ops.empty());
}

void a_payload_that_is_not_zero_is_written_even_with_unmap(void**) {
  DiskRig rig{usual_config()};
  const Bytes8 block = pattern(512);
  assert_true(rig.send(cdb_of(0x93, 0x08, 0, 16), block).good());
  assert_true(rig.stored(15 * 512, 512) == block);
}

void anchor_and_the_obsolete_bits_are_refused(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.send(cdb_of(0x93, 0x10, 0, 1), pattern(512)).bad_field(1, 4));
  assert_true(rig.send(cdb_of(0x93, 0x04, 0, 1), pattern(512)).bad_field(1, 2));
  assert_true(rig.send(cdb_of(0x41, 0x01, 0, 1), pattern(512)).bad_field(1, 0));
  Bytes8 cdb = unmap_cdb(8);
  cdb[1] = 0x01;
  assert_true(rig.send(cdb, unmap_list({})).bad_field(1, 0));
}

void unmap_bits_are_refused_where_nothing_can_be_unmapped(void**) {
  DiskRig rig{usual_config(), Bytes{4 << 20}, {}, without_unmap};
  assert_true(rig.send(cdb_of(0x41, 0x08, 0, 1), Bytes8(512)).bad_field(1, 3));
  assert_true(rig.send(cdb_of(0x93, 0x08, 0, 1), Bytes8(512)).bad_field(1, 3));
  assert_true(rig.send(cdb_of(0x93, 0x00, 0, 1), Bytes8(512)).good());
  assert_true(rig.send(unmap_cdb(0)).illegal(asc::invalid_command_operation_code));
}

void a_change_is_durable_while_there_is_no_write_cache(void**) {
  DiskRig rig{usual_config(), Bytes{4 << 20}, {}, like_a_file};
  assert_true(rig.send(cdb_of(0x93, 0x00, 0, 1), Bytes8(512)).good());
  assert_int_equal(rig.spy->ops.size(), 1);
  // MODE SELECT (6): caching page, WCE 0.
  Bytes8 list(4 + 20);
  list[4] = 0x08;
  list[5] = 0x12;
  assert_true(rig.send({0x15, 0x10, 0, 0, 24, 0}, list).good());
  rig.spy->ops.clear();
  assert_true(rig.send(cdb_of(0x93, 0x00, 0, 1), Bytes8(512)).good());
  assert_true(unmap(rig, {{0, 8}}).good());
  assert_true(rig.send(cdb_of(0x2a, 0, 0, 1), pattern(512)).good());
  assert_true(rig.spy->ops == (Ops{{"zero", 0, 512, false},
                                   {"flush", 0, 0, false},
                                   {"discard", 0, 4096, false},
                                   {"flush", 0, 0, false},
                                   {"write", 0, 512, false},
                                   {"flush", 0, 0, false}}));
}

void unmap_discards_each_range(void**) {
  DiskRig rig{usual_config()};
  assert_true(unmap(rig, {{0, 8}, {4, 16}, {blocks - 1, 1}, {5, 0}}).good());
  assert_true(rig.spy->ops == (Ops{{"discard", 0, 4096, false},
                                   {"discard", 2048, 8192, false},
                                   {"discard", (blocks - 1) * 512, 512, false}}));
}

void unmap_without_ranges_does_nothing(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.send(unmap_cdb(0)).good());
  assert_true(unmap(rig, {}).good());
  assert_true(unmap(rig, {{blocks, 0}}).good());
  assert_true(rig.spy->ops.empty());
}

void unmap_past_the_end_unmaps_nothing(void**) {
  DiskRig rig{usual_config()};
  assert_true(unmap(rig, {{0, 8}, {blocks - 1, 2}}).illegal(asc::lba_out_of_range));
  assert_true(unmap(rig, {{0, 8}, {~std::uint64_t{0}, 8}}).illegal(asc::lba_out_of_range));
  assert_true(rig.spy->ops.empty());
}

void a_header_cut_short_is_a_length_error(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.send(unmap_cdb(7), Bytes8(7)).illegal(asc::parameter_list_length_error));
}

void a_list_longer_than_its_data_is_refused(void**) {
  DiskRig rig{usual_config()};
  const Bytes8 list = unmap_list({{0, 8}});
  assert_true(rig.send(unmap_cdb(list.size() + 1), list)
                  .illegal(asc::invalid_field_in_command_information_unit));
}

void what_is_not_whole_is_ignored(void**) {
  DiskRig rig{usual_config()};
  Bytes8 list = unmap_list({{0, 8}, {8, 8}});
  // The CDB cuts the second descriptor short; the list says so too; the header says less than is
  // there: each time one is left.
  assert_true(rig.send(unmap_cdb(39), list).good());
  put16(list, 2, 31);
  assert_true(rig.send(unmap_cdb(40), list).good());
  put16(list, 2, 32);
  put16(list, 0, 37);
  assert_true(rig.send(unmap_cdb(40), list).good());
  assert_int_equal(rig.spy->ops.size(), 3);
  put16(list, 0, 3);
  assert_true(rig.send(unmap_cdb(40), list).good());
  assert_int_equal(rig.spy->ops.size(), 3);
}

void unmap_keeps_to_its_limits(void**) {
  scsi::DiskConfig config = usual_config();
  config.unmap_descriptors = 3;
  config.unmap_max = Bytes{100 * 512};
  DiskRig rig{config};
  assert_true(unmap(rig, {{0, 50}, {0, 50}, {0, 0}}).good());
  rig.spy->ops.clear();
  assert_true(unmap(rig, {{0, 50}, {0, 51}}).bad_parameter(8 + 16 + 8));
  assert_true(unmap(rig, {{0, 1}, {0, 1}, {0, 1}, {0, 1}}).bad_parameter(2));
  assert_true(rig.spy->ops.empty());
}

void a_failed_unmap_is_reported(void**) {
  DiskRig rig{usual_config()};
  rig.spy->failures["discard"] = IoStatus::medium_error;
  const Answer answer = unmap(rig, {{1000, 0}, {3, 8}});
  assert_true(answer.failed(SenseKey::medium_error, asc::write_error));
  assert_int_equal(answer.information().value_or(0), 3);
}

void lba_status_tells_mapped_from_deallocated(void**) {
  DiskRig rig{usual_config()};
  rig.store_bytes(8 * 512, pattern(4096));
  Bytes8 cdb = cdb_of(0x9e, 0x12, 0, 512);
  const Answer answer = rig.ask(cdb);
  assert_true(answer.good());
  assert_int_equal(answer.transferred, 8 + 3 * 16);
  assert_int_equal(be32(answer.reply, 0), 4 + 3 * 16);
  const auto entry = [&answer](std::size_t i) {
    const std::size_t at = 8 + i * 16;
    return std::tuple{be64(answer.reply, at), be32(answer.reply, at + 8), answer.reply[at + 12]};
  };
  assert_true(entry(0) == std::tuple(0u, 8u, 1));
  assert_true(entry(1) == std::tuple(8u, 8u, 0));
  assert_true(entry(2) == std::tuple(16u, blocks - 16, 1));
  cdb = cdb_of(0x9e, 0x12, blocks, 512);
  assert_true(rig.ask(cdb).illegal(asc::lba_out_of_range));
}

void a_block_of_which_a_part_is_allocated_is_mapped(void**) {
  DiskRig rig{usual_config()};
  const Bytes all{blocks * 512};
  const Bytes hole{9 * 512 - 100};
  const Bytes data{2 * 512};
  rig.spy->extents = {{.offset = Bytes{}, .length = hole, .allocated = false},
                      {.offset = hole, .length = data, .allocated = true},
                      {.offset = hole + data, .length = all - hole - data, .allocated = false}};
  const Answer answer = rig.ask(cdb_of(0x9e, 0x12, 0, 512));
  assert_true(answer.good());
  assert_int_equal(answer.transferred, 8 + 3 * 16);
  assert_int_equal(be32(answer.reply, 8 + 8), 8);
  assert_int_equal(be64(answer.reply, 8 + 16), 8);
  assert_int_equal(be32(answer.reply, 8 + 16 + 8), 3);
  assert_int_equal(answer.reply[8 + 16 + 12], 0);
  assert_int_equal(be64(answer.reply, 8 + 32), 11);
}

void blocks_of_4096_bytes_have_their_own_limits(void**) {
  volume::VolumeConfig volume_config;
  volume_config.logical_block = Bytes{4096};
  DiskRig rig{usual_config(), Bytes{4 << 20}, volume_config};
  assert_true(rig.send(cdb_of(0x93, 0, 0, 320), pattern(4096)).good());
  assert_true(rig.send(cdb_of(0x93, 0, 0, 321), pattern(4096)).bad_field(10));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(write_same_takes_up_to_its_maximum),
      cmocka_unit_test(write_same_of_no_blocks_is_refused),
      cmocka_unit_test(write_same_past_the_end_writes_nothing),
      cmocka_unit_test(write_same_wants_exactly_one_block),
      cmocka_unit_test(a_zero_payload_is_a_zeroing_and_unmaps_if_asked),
      cmocka_unit_test(write_same_without_data_out_is_refused),
      cmocka_unit_test(a_payload_that_is_not_zero_is_written_even_with_unmap),
      cmocka_unit_test(anchor_and_the_obsolete_bits_are_refused),
      cmocka_unit_test(unmap_bits_are_refused_where_nothing_can_be_unmapped),
      cmocka_unit_test(a_change_is_durable_while_there_is_no_write_cache),
      cmocka_unit_test(unmap_discards_each_range),
      cmocka_unit_test(unmap_without_ranges_does_nothing),
      cmocka_unit_test(unmap_past_the_end_unmaps_nothing),
      cmocka_unit_test(a_header_cut_short_is_a_length_error),
      cmocka_unit_test(a_list_longer_than_its_data_is_refused),
      cmocka_unit_test(what_is_not_whole_is_ignored),
      cmocka_unit_test(unmap_keeps_to_its_limits),
      cmocka_unit_test(a_failed_unmap_is_reported),
      cmocka_unit_test(lba_status_tells_mapped_from_deallocated),
      cmocka_unit_test(a_block_of_which_a_part_is_allocated_is_mapped),
      cmocka_unit_test(blocks_of_4096_bytes_have_their_own_limits),
  };
  return cmocka_run_group_tests_name("provisioning", tests, nullptr, nullptr);
}
