// SPDX-License-Identifier: Apache-2.0
// EXTENDED COPY (0x83) and RECEIVE COPY OPERATING PARAMETERS (0x84), from the disk to the store.
#include "tests/unit/scsi/copy_list.h"
#include "tests/unit/scsi/task_set_rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;
using namespace std::chrono_literals;
using scsi::SenseKey;
namespace asc = scsi::asc;

namespace {

constexpr std::uint64_t block = 512;

template <class Rig>
auto copy(Rig& rig, const std::vector<CopyRange>& ranges) -> decltype(rig.send({}, {})) {
  const Bytes8 list = copy_list(ranges);
  return rig.send(copy_cdb(list.size()), list);
}

std::size_t ops_called(const DiskRig& rig, std::string_view name) {
  return static_cast<std::size_t>(
      std::ranges::count_if(rig.spy->ops, [&](const BackendOp& op) { return op.name == name; }));
}

void the_blocks_are_copied_and_no_others(void**) {
  DiskRig rig{usual_config()};
  const Bytes8 data = pattern(3000 * block);
  rig.store_bytes(10 * block, data);
  assert_true(copy(rig, {{10, 4000, 3000}, {10, 3500, 1}}).good());
  assert_true(rig.stored(4000 * block, data.size()) == data);
  assert_true(rig.stored(10 * block, data.size()) == data);
  assert_true(rig.stored(3500 * block, block) == Bytes8(data.begin(), data.begin() + block));
  assert_true(rig.stored(3999 * block, block) == Bytes8(block));
  assert_true(rig.stored(7000 * block, block) == Bytes8(block));
}

// The store is asked for no more than 256 KiB at once.
void a_long_segment_is_copied_in_pieces(void**) {
  DiskRig rig{usual_config()};
  assert_true(copy(rig, {{0, 4096, 1025}}).good());
  assert_int_equal(ops_called(rig, "read"), 3);
  assert_int_equal(ops_called(rig, "write"), 3);
  for (const BackendOp& op : rig.spy->ops) {
    assert_true(op.length <= io::ScratchPool::buffer_size);
  }
}

void no_list_is_no_error(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.send(copy_cdb(0)).good());
  assert_true(copy(rig, {}).good());
  assert_true(rig.spy->ops.empty());
}

void a_list_shorter_than_its_cdb_says_is_refused(void**) {
  DiskRig rig{usual_config()};
  const Bytes8 list = copy_list({{0, 100, 8}});
  assert_true(rig.send(copy_cdb(list.size() + 1), list)
                  .illegal(asc::invalid_field_in_command_information_unit));
  assert_true(rig.send(copy_cdb(list.size() - 1), list).illegal(asc::parameter_list_length_error));
  assert_true(rig.spy->ops.empty());
}

void segments_before_a_bad_one_are_copied(void**) {
  DiskRig rig{usual_config()};
  rig.store_bytes(0, pattern(block));
  const Answer answer = copy(rig, {{0, 100, 1}, {0, 9000, 1}});
  assert_true(answer.failed(SenseKey::copy_aborted, asc::no_additional_sense));
  assert_int_equal(be32(answer.sense, 8), 1);
  assert_true(rig.stored(100 * block, block) == pattern(block));
}

void a_bad_block_aborts_the_copy_and_names_the_segment(void**) {
  for (const char* const op : {"read", "write"}) {
    DiskRig rig{usual_config()};
    rig.spy->failures[op] = IoStatus::medium_error;
    const Answer answer = copy(rig, {{7, 7, 0}, {0, 100, 1}});
    assert_true(answer.failed(SenseKey::copy_aborted, asc::third_party_device_failure));
    assert_int_equal(be32(answer.sense, 8), 1);
  }
}

void a_store_without_space_says_so(void**) {
  DiskRig rig{usual_config()};
  rig.spy->failures["write"] = IoStatus::no_space;
  assert_true(
      copy(rig, {{0, 100, 1}}).failed(SenseKey::data_protect, asc::space_allocation_failed));
}

void a_write_protected_lun_is_not_copied_to(void**) {
  scsi::DiskConfig config = usual_config();
  config.read_only = true;
  DiskRig rig{config};
  assert_true(copy(rig, {{0, 100, 1}}).failed(SenseKey::data_protect, asc::write_protected));
  assert_true(rig.spy->ops.empty());
}

// Nobody could name it in a list.
void a_lun_without_a_serial_does_not_copy(void**) {
  DiskRig rig{};
  assert_true(copy(rig, {{0, 100, 1}}).illegal(asc::invalid_command_operation_code));
  assert_int_equal(rig.ask({0x12, 0, 0, 0, 96, 0}).reply[5], 0x00);
}

void the_copy_is_durable_while_there_is_no_write_cache(void**) {
  DiskRig rig{usual_config(), Bytes{4 << 20}, {}, like_a_file};
  assert_true(copy(rig, {{0, 100, 1}, {0, 200, 1}}).good());
  assert_int_equal(ops_called(rig, "flush"), 0);
  Bytes8 caching(4 + 20);
  caching[4] = 0x08;
  caching[5] = 0x12;
  assert_true(rig.send({0x15, 0x10, 0, 0, 24, 0}, caching).good());
  rig.spy->ops.clear();
  assert_true(copy(rig, {{0, 100, 1}, {0, 200, 1}}).good());
  assert_int_equal(ops_called(rig, "flush"), 1);
  assert_true(rig.spy->ops.back().name == "flush");
}

void the_operating_parameters_are_the_limits(void**) {
  DiskRig rig{usual_config()};
  Bytes8 cdb(16);
  cdb[0] = 0x84;
  cdb[1] = 0x03;
  put32(cdb, 10, 512);
  const Answer answer = rig.ask(cdb);
  assert_true(answer.good());
  assert_int_equal(answer.transferred, 46);
  assert_int_equal(be32(answer.reply, 0), 42);
  assert_int_equal(answer.reply[4], 0x01);  // SNLID
  assert_int_equal(be16(answer.reply, 8), 2);
  assert_int_equal(be16(answer.reply, 10), 8);
  assert_int_equal(be32(answer.reply, 12), 2 * 32 + 8 * 28);
  assert_int_equal(be32(answer.reply, 16), 16 << 20);
  assert_int_equal(be32(answer.reply, 24), 0);  // HELD DATA LIMIT
  assert_int_equal(answer.reply[37], 9);
  assert_int_equal(answer.reply[43], 2);
  assert_int_equal(answer.reply[44], 0x02);
  assert_int_equal(answer.reply[45], 0xe4);
  put32(cdb, 10, 8);
  assert_int_equal(rig.ask(cdb).transferred, 8);
}

// --- in the task set

void a_frozen_copy_is_answered_in_time_and_goes_no_further(void**) {
  TaskSetRig rig;
  rig.store_bytes(0, pattern(2048 * block));
  rig.freeze();
  Sent& sent = copy(rig, {{0, 4096, 2048}});
  rig.wait(30s);
  assert_true(sent.busy());
  rig.thaw();
  assert_int_equal(ops_called(rig, "read"), 1);
  assert_int_equal(rig.backend_writes(), 0);
}

// What the copy still writes when it is answered lands before a newer write.
void a_newer_write_waits_for_the_piece_that_is_under_way(void**) {
  TaskSetRig rig;
  rig.store_bytes(0, pattern(8 * block, 1));
  rig.spy->gate_after("read");
  Sent& sent = copy(rig, {{0, 4096, 8}});
  rig.wait(30s);
  assert_true(sent.busy());
  Sent& newer = rig.write(4096, 9);
  assert_int_equal(newer.answers, 0);
  rig.thaw();
  assert_true(newer.good());
  assert_true(rig.stored(4096 * block, 8 * block) == pattern(8 * block, 9));
}

void no_more_than_four_copies_run_at_once(void**) {
  TaskSetRig rig;
  rig.freeze();
  std::vector<Sent*> copies;
  for (std::uint64_t i = 0; i < 6; ++i) {
    copies.push_back(&copy(rig, {{0, 1000 + i, 1}}));
  }
  assert_int_equal(ops_called(rig, "read"), 4);
  rig.thaw();
  for (const Sent* const sent : copies) {
    assert_true(sent->good());
  }
}

void a_copy_counts_against_the_limits_of_the_lun(void**) {
  scsi::TaskSetLimits limits;
  limits.max_bandwidth = Bytes{1 << 20};
  TaskSetRig rig{limits};
  assert_true(copy(rig, {{0, 4096, 4096}}).good());  // reads and writes 2 MiB each
  Sent& next = rig.read(0, 1);
  rig.wait(3s);
  assert_int_equal(next.answers, 0);
  rig.wait(2s);
  assert_true(next.good());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_blocks_are_copied_and_no_others),
      cmocka_unit_test(a_long_segment_is_copied_in_pieces),
      cmocka_unit_test(no_list_is_no_error),
      cmocka_unit_test(a_list_shorter_than_its_cdb_says_is_refused),
      cmocka_unit_test(segments_before_a_bad_one_are_copied),
      cmocka_unit_test(a_bad_block_aborts_the_copy_and_names_the_segment),
      cmocka_unit_test(a_store_without_space_says_so),
      cmocka_unit_test(a_write_protected_lun_is_not_copied_to),
      cmocka_unit_test(a_lun_without_a_serial_does_not_copy),
      cmocka_unit_test(the_copy_is_durable_while_there_is_no_write_cache),
      cmocka_unit_test(the_operating_parameters_are_the_limits),
      cmocka_unit_test(a_frozen_copy_is_answered_in_time_and_goes_no_further),
      cmocka_unit_test(a_newer_write_waits_for_the_piece_that_is_under_way),
      cmocka_unit_test(no_more_than_four_copies_run_at_once),
      cmocka_unit_test(a_copy_counts_against_the_limits_of_the_lun),
  };
  return cmocka_run_group_tests_name("copy", tests, nullptr, nullptr);
}
