// SPDX-License-Identifier: Apache-2.0
// The parameter list of EXTENDED COPY: what is taken, and why each bad one is refused.
#include "tests/unit/scsi/copy_list.h"

#include <memory>

#include "lib/scsi/copy_list.h"
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;
using scsi::AdditionalSense;
using scsi::CopyList;
using scsi::SenseKey;
namespace asc = scsi::asc;

namespace {

using List = std::vector<std::uint8_t>;

CopyList read(const List& list) {
  // Exactly as long as it is, so that reading beyond it is noticed.
  const std::unique_ptr<std::uint8_t[]> exact{new std::uint8_t[list.size()]};
  std::copy(list.begin(), list.end(), exact.get());
  return scsi::read_copy_list(
      {.naa = scsi::naa_of(copy_serial), .logical_block = Bytes{512}, .capacity = BlockCount{8192}},
      nullptr, {exact.get(), list.size()});
}

List one() {
  return copy_list({{0, 100, 8}});
}

bool illegal(const List& list, AdditionalSense what) {
  const CopyList copy = read(list);
  return copy.count == 0 && copy.error.has_value() &&
         copy.error->key == SenseKey::illegal_request && copy.error->what == what;
}

bool bad_at(const List& list, std::size_t byte) {
  return illegal(list, asc::invalid_field_in_parameter_list) && !read(list).error->field->in_cdb &&
         read(list).error->field->byte == byte;
}

// COPY ABORTED at this byte of this segment; those before are to be copied.
bool aborted(const List& list, AdditionalSense what, std::size_t segment, std::size_t byte) {
  const CopyList copy = read(list);
  return copy.count == segment && copy.error.has_value() &&
         copy.error->key == SenseKey::copy_aborted && copy.error->what == what &&
         copy.error->command_specific == segment && copy.error->field->in_segment &&
         copy.error->field->byte == byte;
}

template <class Change>
List changed(Change change) {
  List list = one();
  change(list);
  return list;
}

void a_good_list_is_taken_with_one_name_or_two(void**) {
  for (const std::size_t names : {1U, 2U}) {
    const CopyList copy = read(copy_list({{0, 100, 8}, {1, 8191, 1}, {7, 7, 0}}, names));
    assert_false(copy.error.has_value());
    assert_int_equal(copy.count, 3);
    assert_true(copy.segments[1].from == Lba{1});
    assert_true(copy.segments[1].to == Lba{8191});
    assert_true(copy.segments[0].count == BlockCount{8});
    assert_true(copy.segments[2].count == BlockCount{0});
  }
}

void a_list_without_segments_copies_nothing(void**) {
  const CopyList copy = read(copy_list({}));
  assert_int_equal(copy.count, 0);
  assert_false(copy.error.has_value());
  assert_false(read(List(16)).error.has_value());
}

void a_list_may_be_cut_nowhere(void**) {
  const List list = copy_list({{0, 100, 8}, {8, 200, 8}}, 2);
  for (std::size_t length = 0; length < list.size(); ++length) {
    const List cut{list.begin(), list.begin() + static_cast<std::ptrdiff_t>(length)};
    assert_true(illegal(cut, asc::parameter_list_length_error));
  }
}

void bytes_behind_the_list_are_ignored(void**) {
  List list = one();
  list.resize(list.size() + 100, 0xff);
  assert_int_equal(read(list).count, 1);
}

void more_descriptors_than_the_limits_are_refused(void**) {
  std::vector<CopyRange> ranges(scsi::most_copy_segments, CopyRange{0, 100, 1});
  assert_int_equal(read(copy_list(ranges, scsi::most_cscd_descriptors)).count, ranges.size());
  assert_true(illegal(copy_list({{0, 100, 1}}, scsi::most_cscd_descriptors + 1),
                      asc::too_many_target_descriptors));
  ranges.push_back({0, 100, 1});
  assert_true(illegal(copy_list(ranges), asc::too_many_segment_descriptors));
  assert_true(illegal(copy_list(ranges, scsi::most_cscd_descriptors + 1),
                      asc::parameter_list_length_error));
}

void lengths_that_overflow_are_refused(void**) {
  const auto with = [](std::uint16_t cscds, std::uint32_t segments) {
    return changed([=](List& list) {
      put16(list, 2, cscds);
      put32(list, 8, segments);
    });
  };
  assert_true(illegal(with(32, 0xffffffff), asc::parameter_list_length_error));
  assert_true(illegal(with(0xffff, 28), asc::parameter_list_length_error));
  assert_true(bad_at(with(31, 28), 2));
  assert_true(bad_at(with(32, 27), 8));
}

void inline_data_is_refused(void**) {
  assert_true(illegal(changed([](List& list) { list[15] = 1; }), asc::inline_data_length_exceeded));
}

void each_use_of_the_list_identifier_is_known(void**) {
  const auto with = [](std::uint8_t flags, std::uint8_t identifier) {
    return changed([=](List& list) {
      list[0] = identifier;
      list[1] = flags;
    });
  };
  assert_int_equal(read(with(0x00, 7)).count, 1);
  assert_int_equal(read(with(0x37, 7)).count, 1);  // STR, 10b (or NRCR of SPC-3), PRIORITY 7
  assert_int_equal(read(with(0x18, 0)).count, 1);
  assert_true(bad_at(with(0x18, 7), 0));
  assert_true(bad_at(with(0x08, 7), 1));
}

void other_types_of_descriptors_are_refused(void**) {
  assert_true(illegal(changed([](List& list) { list[cscd_at] = 0xe0; }),
                      asc::unsupported_target_descriptor_type));
  assert_true(illegal(changed([](List& list) { list[segment_at] = 0x03; }),
                      asc::unsupported_segment_descriptor_type));
}

void a_segment_of_another_length_is_refused(void**) {
  assert_true(bad_at(changed([](List& list) { list[segment_at + 3] = 23; }), segment_at + 2));
}

void a_segment_longer_than_the_limit_is_refused(void**) {
  assert_int_equal(scsi::read_copy_list({.naa = scsi::naa_of(copy_serial),
                                         .logical_block = Bytes{512},
                                         .capacity = BlockCount{1 << 20}},
                                        nullptr, copy_list({{0, 100000, 32768}}))
                       .count,
                   1);
  assert_true(bad_at(copy_list({{0, 100000, 32769}}), segment_at + 10));
}

void the_kind_of_lun_id_is_ignored(void**) {
  assert_int_equal(read(changed([](List& list) { list[cscd_at + 1] = 0xc0; })).count, 1);
}

void an_index_beyond_the_names_aborts_the_copy(void**) {
  assert_true(aborted(changed([](List& list) { list[segment_at + 5] = 1; }),
                      asc::unreachable_copy_target, 0, 4));
  assert_true(aborted(changed([](List& list) { list[segment_at + 6] = 1; }),
                      asc::unreachable_copy_target, 0, 6));
}

void another_lun_is_not_reachable(void**) {
  constexpr AdditionalSense what = asc::copy_target_device_not_reachable;
  assert_true(aborted(changed([](List& list) { list[cscd_at + 23] ^= 1; }), what, 0, 4));
  assert_true(aborted(changed([](List& list) { list[cscd_at + 1] = 0x20; }), what, 0, 4));
  assert_true(aborted(changed([](List& list) { list[cscd_at + 4] = 0x02; }), what, 0, 4));
  assert_true(aborted(changed([](List& list) { list[cscd_at + 5] = 0x13; }), what, 0, 4));
  assert_true(aborted(changed([](List& list) { list[cscd_at + 7] = 8; }), what, 0, 4));
  List list = copy_list({{0, 100, 8}}, 2);
  list[cscd_at + 32 + 8] ^= 1;
  assert_true(aborted(list, what, 0, 6));
}

void a_name_that_no_segment_uses_does_not_matter(void**) {
  List list = copy_list({{0, 100, 8}}, 2);
  list[cscd_at + 8] ^= 1;
  list[segment_at + 32 + 5] = 1;
  assert_int_equal(read(list).count, 1);
  assert_false(read(list).error.has_value());
}

void another_kind_of_device_aborts_the_copy(void**) {
  constexpr AdditionalSense what = asc::incorrect_copy_target_device_type;
  assert_true(aborted(changed([](List& list) { list[cscd_at + 1] = 0x01; }), what, 0, 4));
  assert_true(aborted(changed([](List& list) { put16(list, cscd_at + 30, 4096); }), what, 0, 4));
  assert_int_equal(read(changed([](List& list) { put16(list, cscd_at + 30, 0); })).count, 1);
}

void blocks_beyond_the_end_abort_the_copy_at_their_segment(void**) {
  constexpr AdditionalSense what = asc::no_additional_sense;
  assert_true(aborted(copy_list({{8185, 0, 8}}), what, 0, 12));
  assert_true(aborted(copy_list({{0, 8185, 8}}), what, 0, 20));
  assert_true(aborted(copy_list({{0, ~std::uint64_t{0}, 8}}), what, 0, 20));
  assert_true(
      aborted(copy_list({{0, 8184, 8}, {0, 100, 8}, {~std::uint64_t{0}, 0, 1}}), what, 2, 12));
}

void a_list_that_writes_what_it_reads_is_refused(void**) {
  assert_true(bad_at(copy_list({{0, 7, 8}}), segment_at + 20));
  assert_true(bad_at(copy_list({{7, 0, 8}}), segment_at + 20));
  assert_true(bad_at(copy_list({{0, 100, 8}, {200, 4, 1}}), segment_at + 28 + 20));
  assert_int_equal(read(copy_list({{0, 8, 8}})).count, 1);
  assert_int_equal(read(copy_list({{0, 100, 8}, {16, 100, 8}})).count, 2);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_good_list_is_taken_with_one_name_or_two),
      cmocka_unit_test(a_list_without_segments_copies_nothing),
      cmocka_unit_test(a_list_may_be_cut_nowhere),
      cmocka_unit_test(bytes_behind_the_list_are_ignored),
      cmocka_unit_test(more_descriptors_than_the_limits_are_refused),
      cmocka_unit_test(lengths_that_overflow_are_refused),
      cmocka_unit_test(inline_data_is_refused),
      cmocka_unit_test(each_use_of_the_list_identifier_is_known),
      cmocka_unit_test(other_types_of_descriptors_are_refused),
      cmocka_unit_test(a_segment_of_another_length_is_refused),
      cmocka_unit_test(a_segment_longer_than_the_limit_is_refused),
      cmocka_unit_test(the_kind_of_lun_id_is_ignored),
      cmocka_unit_test(an_index_beyond_the_names_aborts_the_copy),
      cmocka_unit_test(another_lun_is_not_reachable),
      cmocka_unit_test(a_name_that_no_segment_uses_does_not_matter),
      cmocka_unit_test(another_kind_of_device_aborts_the_copy),
      cmocka_unit_test(blocks_beyond_the_end_abort_the_copy_at_their_segment),
      cmocka_unit_test(a_list_that_writes_what_it_reads_is_refused),
  };
  return cmocka_run_group_tests_name("copy_list", tests, nullptr, nullptr);
}
