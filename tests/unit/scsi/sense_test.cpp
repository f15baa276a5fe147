// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/sense.h"

#include <array>

#include "lib/scsi/cdb.h"
#include "tests/cmocka.h"

using namespace ballast::scsi;

namespace {

void fixed_format_has_key_and_code_in_their_places(void**) {
  std::array<std::uint8_t, 96> out{};
  const std::size_t length = encode(illegal_request(asc::lba_out_of_range), false, out);
  assert_int_equal(length, 18);
  assert_int_equal(out[0], 0x70);
  assert_int_equal(out[2], 0x05);
  assert_int_equal(out[7], 10);
  assert_int_equal(out[12], 0x21);
  assert_int_equal(out[13], 0x00);
  assert_int_equal(out[15], 0);
}

void fixed_format_points_at_the_field(void**) {
  std::array<std::uint8_t, 96> out{};
  (void)encode(invalid_field_in_cdb(2, 5), false, out);
  assert_int_equal(out[15], 0xcd);  // SKSV, C/D, BPV, bit 5
  assert_int_equal(ballast::be16(out, 16), 2);
  (void)encode(invalid_field_in_parameter_list(300), false, out);
  assert_int_equal(out[15], 0x80);
  assert_int_equal(ballast::be16(out, 16), 300);
}

// SPC-5, 4.4.2.4.5: SKSV, SD; and the number of the segment (SPC-4, 5.17.7.4).
void copy_aborted_points_into_the_segment_in_both_formats(void**) {
  std::array<std::uint8_t, 96> out{};
  const Sense sense{.key = SenseKey::copy_aborted,
                    .what = asc::unreachable_copy_target,
                    .command_specific = 3,
                    .field = FieldPointer{.in_cdb = false, .in_segment = true, .byte = 6}};
  assert_int_equal(encode(sense, false, out), 18);
  assert_int_equal(out[2], 0x0a);
  assert_int_equal(ballast::be32(out, 8), 3);
  assert_int_equal(out[15], 0xa0);
  assert_int_equal(ballast::be16(out, 16), 6);
  assert_int_equal(encode(sense, true, out), 28);
  assert_int_equal(out[8], 0x01);
  assert_int_equal(out[9], 0x0a);
  assert_true(ballast::be64(out, 12) == 3);
  assert_int_equal(out[20], 0x02);
  assert_int_equal(out[24], 0xa0);
  assert_int_equal(ballast::be16(out, 25), 6);
}

void fixed_format_has_information_of_32_bits_only(void**) {
  std::array<std::uint8_t, 96> out{};
  Sense sense{.key = SenseKey::medium_error, .what = asc::write_error, .information = 0xfffffffe};
  (void)encode(sense, false, out);
  assert_int_equal(out[0], 0xf0);
  assert_int_equal(ballast::be32(out, 3), 0xfffffffe);
  sense.information = 0x100000000;
  (void)encode(sense, false, out);
  assert_int_equal(out[0], 0x70);
  assert_int_equal(ballast::be32(out, 3), 0);
}

void descriptor_format_has_a_descriptor_for_each(void**) {
  std::array<std::uint8_t, 96> out{};
  Sense sense = invalid_field_in_cdb(7, 0);
  sense.information = 0x123456789abcdef0;
  const std::size_t length = encode(sense, true, out);
  assert_int_equal(length, 28);
  assert_int_equal(out[0], 0x72);
  assert_int_equal(out[1], 0x05);
  assert_int_equal(out[2], 0x24);
  assert_int_equal(out[7], 20);
  assert_int_equal(out[8], 0x00);
  assert_int_equal(out[9], 0x0a);
  assert_int_equal(out[10], 0x80);
  assert_true(ballast::be64(out, 12) == 0x123456789abcdef0);
  assert_int_equal(out[20], 0x02);
  assert_int_equal(out[21], 0x06);
  assert_int_equal(out[24], 0xc8);
  assert_int_equal(ballast::be16(out, 25), 7);
}

void descriptor_format_without_descriptors_is_eight_bytes(void**) {
  std::array<std::uint8_t, 96> out{};
  out.fill(0xff);
  assert_int_equal(encode(illegal_request(asc::lba_out_of_range), true, out), 8);
  assert_int_equal(out[7], 0);
}

void codes_have_names(void**) {
  assert_string_equal(to_string(asc::capacity_data_has_changed), "CAPACITY DATA HAS CHANGED");
  assert_string_equal(to_string(AdditionalSense{0x99, 0x99}), "unknown");
  assert_string_equal(to_string(SenseKey::miscompare), "MISCOMPARE");
}

void cdb_lengths_follow_the_group(void**) {
  assert_int_equal(cdb_length(0x12), 6);
  assert_int_equal(cdb_length(0x28), 10);
  assert_int_equal(cdb_length(0x5a), 10);
  assert_int_equal(cdb_length(0x7f), 0);
  assert_int_equal(cdb_length(0x88), 16);
  assert_int_equal(cdb_length(0xa3), 12);
  assert_int_equal(cdb_length(0xc1), 0);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(fixed_format_has_key_and_code_in_their_places),
      cmocka_unit_test(fixed_format_points_at_the_field),
      cmocka_unit_test(copy_aborted_points_into_the_segment_in_both_formats),
      cmocka_unit_test(fixed_format_has_information_of_32_bits_only),
      cmocka_unit_test(descriptor_format_has_a_descriptor_for_each),
      cmocka_unit_test(descriptor_format_without_descriptors_is_eight_bytes),
      cmocka_unit_test(codes_have_names),
      cmocka_unit_test(cdb_lengths_follow_the_group),
  };
  return cmocka_run_group_tests_name("sense", tests, nullptr, nullptr);
}
