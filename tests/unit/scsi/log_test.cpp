// SPDX-License-Identifier: Apache-2.0
// LOG SENSE, READ DEFECT DATA, and what they and REQUEST SENSE say of a LUN that is stalled.
#include <algorithm>

#include "tests/unit/scsi/task_set_rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;
using scsi::SenseKey;
namespace asc = scsi::asc;

namespace {

constexpr std::uint8_t cumulative = 0x40;

Bytes8 log_sense(std::uint8_t page, std::uint8_t subpage = 0, std::uint8_t first = 0) {
  return {0x4d, 0, static_cast<std::uint8_t>(cumulative | page), subpage, 0, 0, first, 0x02, 0, 0};
}
Bytes8 page_of(TaskSetRig& rig, std::uint8_t page) {
  Sent& sent = rig.send(log_sense(page), Bytes8(255));
  assert_true(sent.good());
  Bytes8 bytes = sent.buffer.bytes();
  bytes.resize(sent.command.transferred);
  return bytes;
}

void the_supported_pages_are_listed(void**) {
  DiskRig rig;
  const Answer answer = rig.ask(log_sense(0));
  assert_true(answer.good());
  assert_true((answer.reply == Bytes8{0x00, 0x00, 0, 6, 0x00, 0x02, 0x03, 0x10, 0x19, 0x2f}));
}

void and_with_their_subpages(void**) {
  DiskRig rig;
  const Answer answer = rig.ask(log_sense(0, 0xff));
  assert_true(answer.good());
  assert_true((answer.reply ==
               Bytes8{0x40, 0xff, 0, 14, 0, 0, 0, 0xff, 2, 0, 3, 0, 0x10, 0, 0x19, 0, 0x2f, 0}));
}

void every_page_listed_is_there(void**) {
  DiskRig rig;
  const Answer list = rig.ask(log_sense(0));
  for (std::size_t i = 4; i < list.reply.size(); ++i) {
    const Answer answer = rig.ask(log_sense(list.reply[i]));
    assert_true(answer.good());
    assert_int_equal(answer.reply[0] & 0x3f, list.reply[i]);
    assert_int_equal(be16(answer.reply, 2) + 4, answer.transferred);
  }
}

void no_self_test_has_been_logged(void**) {
  DiskRig rig;
  const Answer answer = rig.ask(log_sense(0x10));
  assert_int_equal(answer.transferred, 4 + 20 * 20);
  for (std::size_t i = 0; i < 20; ++i) {
    const std::size_t at = 4 + i * 20;
    assert_int_equal(be16(answer.reply, at), i + 1);
    assert_int_equal(answer.reply[at + 3], 0x10);
    assert_true(std::all_of(answer.reply.begin() + static_cast<std::ptrdiff_t>(at) + 4,
                            answer.reply.begin() + static_cast<std::ptrdiff_t>(at) + 20,
                            [](std::uint8_t byte) { return byte == 0; }));
  }
}

void a_page_that_is_not_there_is_refused(void**) {
  DiskRig rig;
  assert_true(rig.ask(log_sense(0x0d)).bad_field(2, 5));
  assert_true(rig.ask(log_sense(0x3f)).bad_field(2, 5));
  assert_true(rig.ask(log_sense(0x19, 0x20)).bad_field(3));
  assert_true(rig.ask(log_sense(0x19, 0xff)).bad_field(3));
}

void only_cumulative_values_may_be_asked_for(void**) {
  DiskRig rig;
  for (const std::uint8_t control : Bytes8{0x00, 0x80, 0xc0}) {
    Bytes8 cdb = log_sense(0x19);
    cdb[2] = static_cast<std::uint8_t>(control | 0x19);
    assert_true(rig.ask(cdb).bad_field(2, 7));
  }
}

void values_cannot_be_saved(void**) {
  DiskRig rig;
  Bytes8 cdb = log_sense(0x19);
  cdb[1] = 0x01;  // SP
  assert_true(rig.ask(cdb).bad_field(1, 0));
}

void the_parameter_pointer_leaves_out_what_is_before_it(void**) {
  DiskRig rig;
  const Answer all = rig.ask(log_sense(0x19));
  assert_int_equal(be16(all.reply, 4), 0x0001);
  const Answer later = rig.ask(log_sense(0x19, 0, 3));
  assert_true(later.good());
  assert_int_equal(be16(later.reply, 4), 0x0003);
  assert_int_equal(later.transferred, 4 + 4 + 8);
  assert_true(rig.ask(log_sense(0x19, 0, 4)).bad_field(5));
  assert_true(rig.ask(log_sense(0x00, 0, 1)).bad_field(5));
}

void a_page_is_cut_to_the_allocation_length(void**) {
  DiskRig rig;
  Bytes8 cdb = log_sense(0x19);
  put16(cdb, 7, 6);
  const Answer answer = rig.ask(cdb);
  assert_true(answer.good());
  assert_int_equal(answer.transferred, 6);
  assert_true(be16(answer.reply, 2) > 6);  // the length of it all
}

void general_statistics_count_reads_and_writes(void**) {
  TaskSetRig rig;
  rig.write(0, 1, 8);
  rig.write(8, 2, 16);
  rig.read(0, 4);
  const Bytes8 page = page_of(rig, 0x19);
  assert_int_equal(be64(page, 8), 1);
  assert_int_equal(be64(page, 16), 2);
  assert_int_equal(be64(page, 24), 24);  // received
  assert_int_equal(be64(page, 32), 4);   // transmitted
}

void the_time_of_a_command_is_told_in_the_unit_that_the_page_names(void**) {
  TaskSetRig rig;
  rig.spy->gate.reset();
  rig.read(0);
  rig.wait(std::chrono::milliseconds{3});
  rig.spy->gate.set();
  rig.run();
  const Bytes8 page = page_of(rig, 0x19);
  assert_int_equal(be64(page, 40), 3000);
  assert_int_equal(be16(page, 4 + 4 + 64 + 4 + 8), 0x0003);
  assert_int_equal(be32(page, 4 + 4 + 64 + 4 + 8 + 4), 6);  // 10^-6 s
  assert_int_equal(be32(page, 4 + 4 + 64 + 4 + 8 + 8), 1);
}

void the_lun_is_idle_while_no_command_is_unanswered(void**) {
  TaskSetRig rig;
  const auto idle = [&rig] {
    const Bytes8 page = page_of(rig, 0x19);
    assert_int_equal(be16(page, 4 + 4 + 64), 0x0002);
    return be64(page, 4 + 4 + 64 + 4);
  };
  rig.wait(std::chrono::milliseconds{5});
  const std::uint64_t before = idle();
  assert_true(before >= 5000);
  rig.spy->gate.reset();
  rig.read(0);
  rig.read(8);
  rig.wait(std::chrono::milliseconds{3});
  assert_int_equal(idle(), before);
  rig.spy->gate.set();
  rig.run();
  rig.wait(std::chrono::milliseconds{2});
  assert_int_equal(idle(), before + 2000);
}

void errors_of_the_store_are_counted(void**) {
  TaskSetRig rig;
  rig.spy->failures["write"] = IoStatus::medium_error;
  rig.write(0, 1);
  rig.write(8, 1);
  rig.spy->failures.clear();
  rig.write(0, 1);
  const Bytes8 writes = page_of(rig, 0x02);
  assert_int_equal(be16(writes, 4), 0x0005);
  assert_int_equal(be64(writes, 8), 8 * 512);
  assert_int_equal(be16(writes, 16), 0x0006);
  assert_int_equal(be64(writes, 20), 2);
  assert_int_equal(be64(page_of(rig, 0x03), 20), 0);
}

void a_stalled_lun_is_a_warning(void**) {
  scsi::TaskSetLimits limits;
  TaskSetRig rig{limits};
  assert_int_equal(be16(page_of(rig, 0x2f), 8), 0);
  rig.spy->gate.reset();
  rig.read(0);
  rig.wait(limits.stall_after + std::chrono::seconds{1});
  assert_true(rig.tasks->stalled());
  assert_int_equal(be16(page_of(rig, 0x2f), 8), 0x0b00);
  Sent& sense = rig.send({0x03, 0, 0, 0, 0xff, 0}, Bytes8(255));
  assert_true(sense.good());
  const Bytes8 said = sense.buffer.bytes();
  assert_int_equal(said[2], static_cast<int>(SenseKey::no_sense));
  assert_int_equal(be16(said, 12), 0x0b00);
  rig.spy->gate.set();
  rig.wait(std::chrono::seconds{1});
  assert_int_equal(be16(page_of(rig, 0x2f), 8), 0);
}

void only_a_store_that_tells_its_room_has_the_page_of_it(void**) {
  DiskRig rig;
  assert_true(rig.ask(log_sense(0x0c)).bad_field(2, 5));
  DiskRig told{usual_config(), Bytes{4 << 20}, {}, thin};
  const Bytes8 expected{0x00, 0x02, 0x03, 0x0c, 0x10, 0x19, 0x2f};
  const Bytes8 list = told.ask(log_sense(0x00)).reply;
  assert_true(Bytes8(list.begin() + 4, list.end()) == expected);
}

void the_room_is_shown_in_threshold_sets(void**) {
  DiskRig rig{usual_config(), Bytes{4 << 20}, {}, thin};
  assert_int_equal(be16(rig.ask(log_sense(0x0c)).reply, 2), 0);  // not known yet
  rig.disk->set_room(backend::Room{.free = Bytes{(7 << 20) + 5}, .used = Bytes{3 << 20}});
  const Bytes8 page = rig.ask(log_sense(0x0c)).reply;
  assert_int_equal(be16(page, 2), 24);
  assert_int_equal(be16(page, 4), 0x0001);  // available
  assert_int_equal(page[6], 0x23);
  assert_int_equal(page[7], 8);
  assert_int_equal(be32(page, 8), 7);
  assert_int_equal(page[12], 0x02);          // shared with other logical units
  assert_int_equal(be16(page, 16), 0x0002);  // used
  assert_int_equal(be32(page, 20), 3);
  assert_int_equal(page[24], 0x01);  // by this one
  // The block is 512 bytes, so 2 to the power of 11 of them are a set of 1 MiB.
  assert_int_equal(rig.ask({0x12, 0x01, 0xb2, 0, 0xff, 0}).reply[4], 11);
  assert_true(rig.ask(log_sense(0x0c, 0, 3)).bad_field(5));
}

void more_room_than_can_be_told_is_told_as_the_most(void**) {
  DiskRig rig{usual_config(), Bytes{4 << 20}, {}, thin};
  rig.disk->set_room(backend::Room{.free = Bytes{std::uint64_t{1} << 60}, .used = Bytes{}});
  assert_int_equal(be32(rig.ask(log_sense(0x0c)).reply, 8), 0xffffffff);
}

void a_disk_alone_has_counted_nothing(void**) {
  DiskRig rig;
  assert_int_equal(be64(rig.ask(log_sense(0x19)).reply, 8), 0);
}

void there_are_no_defects(void**) {
  DiskRig rig;
  const Answer ten = rig.ask({0x37, 0, 0x0c, 0, 0, 0, 0, 0, 0xff, 0});  // the grown ones
  assert_true(ten.good());
  assert_true((ten.reply == Bytes8{0, 0x0c, 0, 0}));
  const Answer twelve = rig.ask({0xb7, 0x1b, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0});
  assert_true(twelve.good());
  assert_true((twelve.reply == Bytes8{0, 0x1b, 0, 0, 0, 0, 0, 0}));
}

void a_defect_list_in_no_known_format_is_refused(void**) {
  DiskRig rig;
  for (const std::uint8_t format : Bytes8{6, 7}) {
    assert_true(rig.ask({0x37, 0, format, 0, 0, 0, 0, 0, 0xff, 0}).bad_field(2, 2));
    assert_true(rig.ask({0xb7, format, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0}).bad_field(1, 2));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_supported_pages_are_listed),
      cmocka_unit_test(and_with_their_subpages),
      cmocka_unit_test(every_page_listed_is_there),
      cmocka_unit_test(no_self_test_has_been_logged),
      cmocka_unit_test(a_page_that_is_not_there_is_refused),
      cmocka_unit_test(only_cumulative_values_may_be_asked_for),
      cmocka_unit_test(values_cannot_be_saved),
      cmocka_unit_test(the_parameter_pointer_leaves_out_what_is_before_it),
      cmocka_unit_test(a_page_is_cut_to_the_allocation_length),
      cmocka_unit_test(general_statistics_count_reads_and_writes),
      cmocka_unit_test(the_time_of_a_command_is_told_in_the_unit_that_the_page_names),
      cmocka_unit_test(the_lun_is_idle_while_no_command_is_unanswered),
      cmocka_unit_test(errors_of_the_store_are_counted),
      cmocka_unit_test(a_stalled_lun_is_a_warning),
      cmocka_unit_test(only_a_store_that_tells_its_room_has_the_page_of_it),
      cmocka_unit_test(the_room_is_shown_in_threshold_sets),
      cmocka_unit_test(more_room_than_can_be_told_is_told_as_the_most),
      cmocka_unit_test(a_disk_alone_has_counted_nothing),
      cmocka_unit_test(there_are_no_defects),
      cmocka_unit_test(a_defect_list_in_no_known_format_is_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
