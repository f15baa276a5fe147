// SPDX-License-Identifier: Apache-2.0
// The unit itself: identity, capacity, readiness, unit attentions.
#include "tests/unit/scsi/rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;
using scsi::SenseKey;
namespace asc = scsi::asc;

namespace {

const Bytes8 test_unit_ready(6);
const Bytes8 request_sense{0x03, 0, 0, 0, 0xff, 0};
const Bytes8 start{0x1b, 0, 0, 0, 1, 0};
const Bytes8 stop{0x1b, 0, 0, 0, 0, 0};

Bytes8 inquiry(std::uint8_t evpd, std::uint8_t page, std::size_t length = 512) {
  Bytes8 cdb{0x12, evpd, page, 0, 0, 0};
  put16(cdb, 3, length);
  return cdb;
}

std::string text(const Bytes8& bytes, std::size_t at, std::size_t length) {
  return {bytes.begin() + static_cast<std::ptrdiff_t>(at),
          bytes.begin() + static_cast<std::ptrdiff_t>(at + length)};
}

void inquiry_says_who_it_is(void**) {
  DiskRig rig{usual_config()};
  const Answer answer = rig.ask(inquiry(0, 0));
  assert_true(answer.good());
  assert_int_equal(answer.transferred, answer.reply[4] + 5);
  assert_int_equal(answer.reply[0], 0x00);
  assert_int_equal(answer.reply[2], 0x06);
  assert_int_equal(answer.reply[3], 0x02);
  assert_int_equal(answer.reply[7], 0x02);
  assert_string_equal(text(answer.reply, 8, 28).c_str(), "BALLAST vol0            0001");
}

void inquiry_is_cut_to_the_allocation_length(void**) {
  DiskRig rig{usual_config()};
  const Answer answer = rig.ask(inquiry(0, 0, 36));
  assert_int_equal(answer.transferred, 36);
  assert_int_equal(answer.reply[4], 69);
  assert_int_equal(rig.ask(inquiry(0, 0, 36), 5).transferred, 5);
  assert_int_equal(rig.ask(inquiry(0, 0, 0)).transferred, 0);
}

void a_page_that_there_is_not_is_refused(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.ask(inquiry(1, 0x84)).bad_field(2));
  assert_true(rig.ask(inquiry(0, 0x80)).bad_field(2));
  assert_true(rig.ask(inquiry(2, 0)).bad_field(1, 1));  // CMDDT
}

void the_serial_number_is_the_one_from_the_configuration(void**) {
  DiskRig rig{usual_config()};
  const Answer answer = rig.ask(inquiry(1, 0x80));
  assert_string_equal(text(answer.reply, 4, answer.transferred - 4).c_str(),
                      "3d2f0e1c-77aa-4b55-9c01-0123456789ab");
}

void the_designators_are_those_lio_would_give(void**) {
  DiskRig rig{usual_config()};
  const Answer answer = rig.ask(inquiry(1, 0x83));
  assert_true(answer.good());
  assert_int_equal(be16(answer.reply, 2), answer.transferred - 4);
  assert_int_equal(answer.reply[4], 0x02);
  assert_int_equal(answer.reply[5], 0x01);
  const std::size_t length = answer.reply[7];
  assert_string_equal(text(answer.reply, 8, length).c_str(),
                      "BALLAST vol0            :3d2f0e1c-77aa-4b55-9c01-0123456789ab");
  const std::size_t naa = 8 + length;
  assert_int_equal(answer.reply[naa], 0x01);
  assert_int_equal(answer.reply[naa + 1], 0x03);
  assert_int_equal(answer.reply[naa + 3], 16);
  const Bytes8 expected{0x60, 0x01, 0x40, 0x53, 0xd2, 0xf0, 0xe1, 0xc7,
                        0x7a, 0xa4, 0xb5, 0x59, 0xc0, 0x10, 0x12, 0x34};
  assert_true(Bytes8(answer.reply.begin() + static_cast<std::ptrdiff_t>(naa) + 4,
                     answer.reply.end()) == expected);
}

void the_longest_serial_number_fits(void**) {
  scsi::DiskConfig config = usual_config();
  config.unit_serial = std::string(300, 'f');
  DiskRig rig{config};
  assert_int_equal(rig.ask(inquiry(1, 0x80)).transferred, 4 + 252);
  assert_true(rig.ask(inquiry(1, 0x83)).good());
  config.unit_serial.clear();
  DiskRig nameless{config};
  assert_int_equal(nameless.ask(inquiry(1, 0x80)).transferred, 4);
  assert_int_equal(nameless.ask(inquiry(1, 0x83)).transferred, 4 + 4 + 24);
}

void capacity_has_the_last_block_and_its_length(void**) {
  DiskRig rig{usual_config()};
  const Answer ten = rig.ask(Bytes8{0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  assert_int_equal(ten.transferred, 8);
  assert_int_equal(be32(ten.reply, 0), 8191);
  assert_int_equal(be32(ten.reply, 4), 512);
  const Answer sixteen = rig.ask(cdb_of(0x9e, 0x10, 0, 32));
  assert_int_equal(sixteen.transferred, 32);
  assert_int_equal(be64(sixteen.reply, 0), 8191);
  assert_int_equal(be32(sixteen.reply, 8), 512);
  assert_int_equal(sixteen.reply[13], 3);
  assert_int_equal(sixteen.reply[14], 0xc0);  // LBPME, LBPRZ
  assert_int_equal(rig.ask(cdb_of(0x9e, 0x10, 0, 12)).transferred, 12);
}

void ten_bytes_are_too_few_for_a_large_capacity(void**) {
  const Bytes8 ten{0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  DiskRig fits{usual_config(), Bytes{std::uint64_t{0xffffffff} * 512}};
  assert_int_equal(be32(fits.ask(ten).reply, 0), 0xfffffffe);
  DiskRig large{usual_config(), Bytes{std::uint64_t{3} << 40}};
  assert_int_equal(be32(large.ask(ten).reply, 0), 0xffffffff);
  const Answer sixteen = large.ask(cdb_of(0x9e, 0x10, 0, 32));
  assert_true(be64(sixteen.reply, 0) == (std::uint64_t{3} << 31) - 1);
}

void lbprz_is_claimed_only_where_discarded_blocks_read_as_zeros(void**) {
  DiskRig rig{usual_config(), Bytes{4 << 20}, {}, [](SpyBackend& spy) {
                spy.pretend().discard_zeroes = false;
              }};
  assert_int_equal(rig.ask(cdb_of(0x9e, 0x10, 0, 32)).reply[14], 0x80);
  assert_int_equal(rig.ask(inquiry(1, 0xb2)).reply[5], 0xe0);
}

void a_lun_that_cannot_unmap_is_not_thin(void**) {
  DiskRig rig{usual_config(), Bytes{4 << 20}, {}, without_unmap};
  assert_int_equal(rig.ask(cdb_of(0x9e, 0x10, 0, 32)).reply[14], 0x00);
  const Answer page = rig.ask(inquiry(1, 0xb2));
  assert_int_equal(page.reply[5], 0x00);
  assert_int_equal(page.reply[6], 0x00);
  assert_int_equal(be32(rig.ask(inquiry(1, 0xb0)).reply, 20), 0);
}

void it_rotates_only_if_the_store_does(void**) {
  DiskRig still{usual_config()};
  assert_int_equal(be16(still.ask(inquiry(1, 0xb1)).reply, 4), 1);
  DiskRig spinning{usual_config(), Bytes{4 << 20}, {}, [](SpyBackend& spy) {
                     spy.pretend_geometry().rotational = true;
                   }};
  assert_int_equal(be16(spinning.ask(inquiry(1, 0xb1)).reply, 4), 0);
}

void a_stopped_unit_is_not_ready_until_it_is_started(void**) {
  DiskRig rig{usual_config(), Bytes{4 << 20}, {}, like_a_file};
  assert_true(rig.send(test_unit_ready).good());
  assert_true(rig.send(stop).good());
  assert_string_equal(rig.spy->ops.at(0).name.c_str(), "flush");
  for (const Bytes8& cdb : {test_unit_ready, cdb_of(0x28, 0, 0, 1), cdb_of(0x2a, 0, 0, 1)}) {
    assert_true(rig.ask(cdb).failed(SenseKey::not_ready, asc::initializing_command_required));
  }
  assert_true(rig.ask(inquiry(0, 0)).good());
  const Answer sense = rig.ask(request_sense);
  assert_true(sense.good());
  assert_int_equal(sense.reply[2], 0x02);
  assert_true(rig.send(start).good());
  assert_true(rig.send(test_unit_ready).good());
}

void ejecting_and_power_conditions_are_refused(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.send({0x1b, 0, 0, 0, 0x02, 0}).bad_field(4, 1));
  assert_true(rig.send({0x1b, 0, 0, 0, 0x10, 0}).bad_field(4, 4));
  assert_true(rig.send(test_unit_ready).good());
}

void request_sense_has_nothing_to_say(void**) {
  DiskRig rig{usual_config()};
  const Answer fixed = rig.ask(request_sense);
  assert_int_equal(fixed.transferred, 18);
  assert_int_equal(fixed.reply[0], 0x70);
  assert_int_equal(fixed.reply[2], 0x00);
  const Answer descriptors = rig.ask({0x03, 0x01, 0, 0, 0xff, 0});
  assert_int_equal(descriptors.transferred, 8);
  assert_int_equal(descriptors.reply[0], 0x72);
}

void a_unit_attention_is_told_once(void**) {
  DiskRig rig{usual_config()};
  rig.disk->capacity_changed();
  rig.disk->capacity_changed();
  assert_true(rig.ask(cdb_of(0x28, 0, 0, 1))
                  .failed(SenseKey::unit_attention, asc::capacity_data_has_changed));
  assert_true(rig.ask(cdb_of(0x28, 0, 0, 1)).good());
}

void inquiry_and_request_sense_go_on_in_spite_of_one(void**) {
  DiskRig rig{usual_config()};
  rig.disk->capacity_changed();
  assert_true(rig.ask(inquiry(0, 0)).good());
  const Answer sense = rig.ask(request_sense);
  assert_true(sense.good());
  assert_int_equal(sense.reply[2], 0x06);
  assert_int_equal(sense.reply[12], 0x2a);
  assert_true(rig.send(test_unit_ready).good());
}

void unit_attentions_come_in_order_and_the_oldest_go(void**) {
  DiskRig rig{usual_config()};
  for (std::uint8_t i = 0; i < 6; ++i) {
    rig.disk->post_unit_attention({0x29, i});
  }
  for (std::uint8_t i = 2; i < 6; ++i) {
    assert_true(rig.send(test_unit_ready).failed(SenseKey::unit_attention, {0x29, i}));
  }
  assert_true(rig.send(test_unit_ready).good());
}

void a_resized_lun_has_its_new_capacity_at_once(void**) {
  DiskRig rig{usual_config()};
  assert_true(rig.wait_for(rig.volume->resize(BlockCount{16384})) == IoStatus::ok);
  rig.disk->capacity_changed();
  assert_true(
      rig.send(test_unit_ready).failed(SenseKey::unit_attention, asc::capacity_data_has_changed));
  assert_int_equal(be64(rig.ask(cdb_of(0x9e, 0x10, 0, 32)).reply, 0), 16383);
  assert_true(rig.send(cdb_of(0x2a, 0, 16383, 1), pattern(512)).good());
}

void the_default_self_test_reads_the_first_block_and_the_last(void**) {
  DiskRig rig{usual_config()};
  rig.spy->ops.clear();
  assert_true(rig.send({0x1d, 0x04, 0, 0, 0, 0}).good());
  const std::uint64_t end = rig.volume->capacity().value() * 512;
  assert_true(rig.spy->ops == (std::vector<BackendOp>{{"read", 0, 512}, {"read", end - 512, 512}}));
  rig.spy->failures["read"] = IoStatus::medium_error;
  assert_true(
      rig.send({0x1d, 0x04, 0, 0, 0, 0}).failed(SenseKey::hardware_error, asc::failed_self_test));
}

void without_a_test_send_diagnostic_does_nothing(void**) {
  DiskRig rig{usual_config()};
  rig.spy->ops.clear();
  assert_true(rig.send({0x1d, 0x10, 0, 0, 0, 0}).good());
  assert_true(rig.spy->ops.empty());
}

void a_self_test_of_another_kind_is_refused(void**) {
  DiskRig rig{usual_config()};
  for (const std::uint8_t code : Bytes8{1, 2, 4, 5, 6}) {
    assert_true(rig.send({0x1d, static_cast<std::uint8_t>(code << 5), 0, 0, 0, 0}).bad_field(1));
  }
  assert_true(rig.send({0x1d, 0x10, 0, 0, 4, 0}, Bytes8(4)).bad_field(4));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(inquiry_says_who_it_is),
      cmocka_unit_test(the_default_self_test_reads_the_first_block_and_the_last),
      cmocka_unit_test(without_a_test_send_diagnostic_does_nothing),
      cmocka_unit_test(a_self_test_of_another_kind_is_refused),
      cmocka_unit_test(inquiry_is_cut_to_the_allocation_length),
      cmocka_unit_test(a_page_that_there_is_not_is_refused),
      cmocka_unit_test(the_serial_number_is_the_one_from_the_configuration),
      cmocka_unit_test(the_designators_are_those_lio_would_give),
      cmocka_unit_test(the_longest_serial_number_fits),
      cmocka_unit_test(capacity_has_the_last_block_and_its_length),
      cmocka_unit_test(ten_bytes_are_too_few_for_a_large_capacity),
      cmocka_unit_test(lbprz_is_claimed_only_where_discarded_blocks_read_as_zeros),
      cmocka_unit_test(a_lun_that_cannot_unmap_is_not_thin),
      cmocka_unit_test(it_rotates_only_if_the_store_does),
      cmocka_unit_test(a_stopped_unit_is_not_ready_until_it_is_started),
      cmocka_unit_test(ejecting_and_power_conditions_are_refused),
      cmocka_unit_test(request_sense_has_nothing_to_say),
      cmocka_unit_test(a_unit_attention_is_told_once),
      cmocka_unit_test(inquiry_and_request_sense_go_on_in_spite_of_one),
      cmocka_unit_test(unit_attentions_come_in_order_and_the_oldest_go),
      cmocka_unit_test(a_resized_lun_has_its_new_capacity_at_once),
  };
  return cmocka_run_group_tests_name("unit", tests, nullptr, nullptr);
}
