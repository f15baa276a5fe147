// SPDX-License-Identifier: Apache-2.0
// MODE SENSE and MODE SELECT.
#include <optional>
#include <utility>
#include <vector>

#include "tests/unit/scsi/rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;
using scsi::SenseKey;
namespace asc = scsi::asc;

namespace {

constexpr std::uint8_t dbd = 0x08;

Bytes8 sense_6(std::uint8_t page, std::uint8_t flags = dbd, std::uint8_t subpage = 0) {
  return {0x1a, flags, page, subpage, 0xff, 0};
}
Bytes8 select_6(std::size_t length) {
  return {0x15, 0x10, 0, 0, static_cast<std::uint8_t>(length), 0};
}
// A MODE SELECT (6) list of one page as MODE SENSE gives it.
Bytes8 list_of(DiskRig& rig, std::uint8_t page) {
  Bytes8 list = rig.ask(sense_6(page)).reply;
  list[0] = 0;
  return list;
}
DiskRig* cached_rig() {
  return new DiskRig{usual_config(), Bytes{4 << 20}, {}, like_a_file};
}
using Rig = std::unique_ptr<DiskRig>;

void mode_sense_6_has_header_descriptor_and_page(void**) {
  const Rig rig{cached_rig()};
  const Answer answer = rig->ask(sense_6(0x08, 0));
  assert_true(answer.good());
  assert_int_equal(answer.transferred, 4 + 8 + 20);
  assert_int_equal(answer.reply[0], 31);
  assert_int_equal(answer.reply[2], 0x10);  // DPOFUA
  assert_int_equal(answer.reply[3], 8);
  assert_int_equal(be32(answer.reply, 4), 8192);
  assert_int_equal(be24(answer.reply, 9), 512);
  assert_int_equal(answer.reply[12], 0x08);
  assert_int_equal(answer.reply[13], 0x12);
  assert_int_equal(answer.reply[14], 0x04);  // WCE
}

void mode_sense_10_has_a_longer_header(void**) {
  const Rig rig{cached_rig()};
  const Answer answer = rig->ask({0x5a, dbd, 0x0a, 0, 0, 0, 0, 0x02, 0x00, 0});
  assert_true(answer.good());
  assert_int_equal(answer.transferred, 8 + 12);
  assert_int_equal(be16(answer.reply, 0), 18);
  assert_int_equal(answer.reply[3], 0x10);
  assert_int_equal(be16(answer.reply, 6), 0);
  assert_int_equal(answer.reply[8], 0x0a);
  assert_int_equal(answer.reply[9], 0x0a);
}

void llbaa_gives_a_long_descriptor(void**) {
  const Rig rig{cached_rig()};
  const Answer answer = rig->ask({0x5a, 0x10, 0x08, 0, 0, 0, 0, 0x02, 0x00, 0});
  assert_true(answer.good());
  assert_int_equal(answer.reply[4], 0x01);
  assert_int_equal(be16(answer.reply, 6), 16);
  assert_int_equal(be64(answer.reply, 8), 8192);
  assert_int_equal(be32(answer.reply, 20), 512);
}

void all_pages_come_in_order(void**) {
  const Rig rig{cached_rig()};
  for (const std::uint8_t subpage : Bytes8{0x00, 0xff}) {
    const Answer answer = rig->ask(sense_6(0x3f, dbd, subpage));
    assert_true(answer.good());
    assert_int_equal(answer.transferred, 4 + 12 + 20 + 12 + 12);
    assert_int_equal(answer.reply[4], 0x01);
    assert_int_equal(answer.reply[16], 0x08);
    assert_int_equal(answer.reply[36], 0x0a);
    assert_int_equal(answer.reply[48], 0x1c);
  }
}

void the_reply_is_cut_to_the_allocation_length(void**) {
  const Rig rig{cached_rig()};
  Bytes8 cdb = sense_6(0x3f);
  cdb[4] = 5;
  const Answer answer = rig->ask(cdb);
  assert_true(answer.good());
  assert_int_equal(answer.transferred, 5);
  assert_int_equal(answer.reply[0], 59);  // the length of it all
  cdb[4] = 0;
  assert_int_equal(rig->ask(cdb).transferred, 0);
}

void a_page_that_there_is_not_is_refused(void**) {
  const Rig rig{cached_rig()};
  assert_true(rig->ask(sense_6(0x1a)).bad_field(2, 5));
  assert_true(rig->ask(sense_6(0x08, dbd, 0x01)).bad_field(3));
  assert_true(rig->ask(sense_6(0x00)).bad_field(2, 5));
}

void where_nobody_keeps_values_there_are_no_saved_ones(void**) {
  const Rig rig{cached_rig()};
  assert_true(rig->ask(sense_6(0xc8)).illegal(asc::saving_parameters_not_supported));
  assert_int_equal(rig->ask(sense_6(0x08)).reply[4], 0x08);  // no PS
  const Bytes8 list = list_of(*rig, 0x08);
  Bytes8 cdb = select_6(list.size());
  cdb[1] = 0x11;  // SP
  assert_true(rig->send(cdb, list).bad_field(1, 0));
}

void changeable_values_are_a_mask(void**) {
  const Rig rig{cached_rig()};
  const Answer caching = rig->ask(sense_6(0x48));
  assert_int_equal(caching.reply[4 + 2], 0x04);
  assert_int_equal(std::count(caching.reply.begin() + 6, caching.reply.end(), 0), 17);
  const Answer control = rig->ask(sense_6(0x4a));
  assert_int_equal(control.reply[4 + 2], 0x04);
  assert_int_equal(control.reply[4 + 3], 0x00);
  assert_int_equal(control.reply[4 + 4], 0x08);
}

void wce_can_be_cleared_and_stays_so(void**) {
  const Rig rig{cached_rig()};
  Bytes8 list = list_of(*rig, 0x08);
  list[4 + 2] = 0x00;
  assert_true(rig->send(select_6(list.size()), list, 3).good());
  assert_int_equal(rig->ask(sense_6(0x08)).reply[4 + 2], 0x00);
  assert_int_equal(rig->ask(sense_6(0x88)).reply[4 + 2], 0x04);  // the default
}

void wce_cannot_be_set_where_there_is_no_cache(void**) {
  DiskRig rig{usual_config()};
  Bytes8 list = list_of(rig, 0x08);
  assert_int_equal(list[4 + 2], 0x00);
  list[4 + 2] = 0x04;
  assert_true(rig.send(select_6(list.size()), list).bad_parameter(6, 2));
}

void d_sense_gives_sense_in_descriptors(void**) {
  const Rig rig{cached_rig()};
  Bytes8 list = list_of(*rig, 0x0a);
  list[4 + 2] |= 0x04;
  assert_true(rig->send(select_6(list.size()), list).good());
  const Answer answer = rig->ask(cdb_of(0x28, 0, 0xffffffff, 1));
  assert_true(answer.status == scsi::Status::check_condition);
  assert_int_equal(answer.sense[0], 0x72);
  assert_int_equal(answer.sense[2], 0x21);
  list[4 + 2] &= 0xfb;
  assert_true(rig->send(select_6(list.size()), list).good());
  assert_true(rig->ask(cdb_of(0x28, 0, 0xffffffff, 1)).illegal(asc::lba_out_of_range));
}

struct Keeper final : scsi::ModeKeeper {
  struct Kept {
    scsi::ModePages::Values values;
    scsi::ModePages::Values in_force;  // when they had been kept
  };
  std::vector<Kept> kept;
  bool works = true;
  DiskRig* rig = nullptr;

  co::Executor& executor() override { return rig->executor; }
  co::Task<bool> keep(scsi::ModePages::Values values) override {
    kept.push_back({values, rig->disk->modes().values()});
    co_return works;
  }
};

// A disk with a keeper, and with what was kept before.
struct KeepingRig {
  Keeper keeper;
  std::unique_ptr<DiskRig> rig;
  explicit KeepingRig(std::optional<scsi::ModePages::Values> before = {}) {
    scsi::DiskConfig config = usual_config();
    config.kept_modes = before;
    config.mode_keeper = &keeper;
    rig = std::make_unique<DiskRig>(std::move(config), Bytes{4 << 20}, volume::VolumeConfig{},
                                    like_a_file);
    keeper.rig = rig.get();
  }
};

void modes_are_kept_before_they_are_in_force(void**) {
  KeepingRig keeping;
  DiskRig& rig = *keeping.rig;
  Bytes8 list = list_of(rig, 0x08);
  list[4 + 2] = 0x00;  // WCE
  assert_true(rig.send(select_6(list.size()), list).good());
  assert_int_equal(keeping.keeper.kept.size(), 1);
  assert_false(keeping.keeper.kept[0].values.write_cache);
  assert_true(keeping.keeper.kept[0].in_force.write_cache);
  assert_false(rig.disk->modes().write_cache());
  assert_true(rig.send(select_6(list.size()), list).good());
  assert_int_equal(keeping.keeper.kept.size(), 1);  // it changed nothing
  list = list_of(rig, 0x0a);
  list[4 + 4] |= 0x08;  // SWP
  assert_true(rig.send(select_6(list.size()), list).good());
  assert_int_equal(keeping.keeper.kept.size(), 2);
  assert_true(keeping.keeper.kept[1].values == rig.disk->modes().values());
}

void the_saved_values_are_the_current_ones(void**) {
  KeepingRig keeping;
  DiskRig& rig = *keeping.rig;
  Bytes8 list = list_of(rig, 0x08);
  assert_int_equal(list[4], 0x88);                       // PS
  list[4 + 2] = 0x00;                                    // WCE
  for (const std::uint8_t flags : Bytes8{0x10, 0x11}) {  // PF; and SP
    Bytes8 cdb = select_6(list.size());
    cdb[1] = flags;
    assert_true(rig.send(cdb, list).good());
    assert_int_equal(rig.ask(sense_6(0xc8)).reply[4 + 2], list[4 + 2]);
    list[4 + 2] ^= 0x04;
  }
  assert_int_equal(rig.ask(sense_6(0x88)).reply[4 + 2], 0x04);  // the default
  assert_int_equal(rig.ask(sense_6(0xff)).transferred, 4 + 12 + 20 + 12 + 12);
}

void values_that_cannot_be_saved_are_not_set_if_saving_was_asked_for(void**) {
  KeepingRig keeping;
  DiskRig& rig = *keeping.rig;
  keeping.keeper.works = false;
  Bytes8 list = list_of(rig, 0x0a);
  list[4 + 2] |= 0x04;  // D_SENSE
  Bytes8 saving = select_6(list.size());
  saving[1] = 0x11;
  assert_true(
      rig.send(saving, list).failed(SenseKey::hardware_error, asc::internal_target_failure));
  assert_false(rig.disk->modes().descriptor_sense());
  assert_true(keeping.keeper.kept.back().values == rig.disk->modes().values());
  assert_true(rig.send(select_6(list.size()), list).good());
  assert_true(rig.disk->modes().descriptor_sense());
  assert_true(rig.send(saving, list).status == scsi::Status::check_condition);  // still not saved
  keeping.keeper.works = true;
  assert_true(rig.send(saving, list).good());
  assert_true(keeping.keeper.kept.back().values.descriptor_sense);
}

void a_disk_has_the_modes_of_its_last_life(void**) {
  KeepingRig keeping{scsi::ModePages::Values{.write_cache = false, .software_write_protect = true}};
  DiskRig& rig = *keeping.rig;
  assert_int_equal(rig.ask(sense_6(0x08)).reply[4 + 2], 0x00);
  assert_int_equal(rig.ask(sense_6(0x88)).reply[4 + 2], 0x04);  // the default is what it was
  assert_true(rig.send(cdb_of(0x2a, 0, 0, 1), pattern(512))
                  .failed(SenseKey::data_protect, asc::software_write_protected));
}

void a_store_without_cache_has_none_again(void**) {
  scsi::DiskConfig config = usual_config();
  config.kept_modes = scsi::ModePages::Values{.write_cache = true};
  DiskRig rig{std::move(config)};
  assert_int_equal(rig.ask(sense_6(0x08)).reply[4 + 2], 0x00);
}

void swp_protects_until_it_is_cleared(void**) {
  const Rig rig{cached_rig()};
  Bytes8 list = list_of(*rig, 0x0a);
  list[4 + 4] |= 0x08;
  assert_true(rig->send(select_6(list.size()), list).good());
  assert_int_equal(rig->ask(sense_6(0x0a)).reply[2], 0x90);  // WP, DPOFUA
  const Bytes8 write = cdb_of(0x2a, 0, 0, 1);
  assert_true(
      rig->send(write, pattern(512)).failed(SenseKey::data_protect, asc::software_write_protected));
  list[4 + 4] &= 0xf7;
  assert_true(rig->send(select_6(list.size()), list).good());
  assert_true(rig->send(write, pattern(512)).good());
}

void a_list_with_an_error_changes_nothing(void**) {
  const Rig rig{cached_rig()};
  Bytes8 list = rig->ask(sense_6(0x3f)).reply;
  list[0] = 0;
  list[4 + 12 + 2] = 0x00;       // WCE off: fine
  list[4 + 12 + 20 + 3] = 0x00;  // another queue algorithm: not changeable
  assert_true(rig->send(select_6(list.size()), list).bad_parameter(4 + 12 + 20 + 3, 4));
  assert_int_equal(rig->ask(sense_6(0x08)).reply[4 + 2], 0x04);
}

void each_mistake_in_a_list_has_its_own_sense(void**) {
  const Rig rig{cached_rig()};
  const Bytes8 right = list_of(*rig, 0x08);
  const auto with = [&right](std::size_t at, std::uint8_t value) {
    Bytes8 list = right;
    list[at] = value;
    return list;
  };
  const auto send = [&rig](const Bytes8& list) { return rig->send(select_6(list.size()), list); };
  assert_true(send(with(1, 1)).bad_parameter(1));        // medium type
  assert_true(send(with(3, 7)).bad_parameter(3));        // block descriptor length
  assert_true(send(with(4, 0x48)).bad_parameter(4, 6));  // subpage format
  assert_true(send(with(4, 0x88)).good());               // PS is as MODE SENSE may give it
  assert_true(send(with(4, 0x1a)).bad_parameter(4, 5));  // page
  assert_true(send(with(5, 0x13)).bad_parameter(5));     // page length
  assert_true(send(with(6, 0x05)).bad_parameter(6, 0));  // RCD
  Bytes8 cut = right;
  cut.pop_back();
  assert_true(send(cut).illegal(asc::parameter_list_length_error));
  assert_true(send(Bytes8(3)).illegal(asc::parameter_list_length_error));
  assert_true(rig->send(select_6(right.size() + 1), right)
                  .illegal(asc::invalid_field_in_command_information_unit));
}

void each_mistake_in_the_cdb_is_pointed_at(void**) {
  const Rig rig{cached_rig()};
  const Bytes8 list = list_of(*rig, 0x08);
  Bytes8 cdb = select_6(list.size());
  cdb[1] = 0x00;  // no PF
  assert_true(rig->send(cdb, list).bad_field(1, 4));
  assert_true(rig->send(select_6(0)).good());
}

void a_store_that_tells_its_room_has_a_page_with_the_threshold(void**) {
  const Rig rig{new DiskRig{usual_config(), Bytes{4 << 20}, {}, thin}};
  const auto page = [&rig] { return rig->ask(sense_6(0x1c, dbd, 0x02)).reply; };
  Bytes8 expected(4 + 24);
  expected[0] = 27;
  expected[2] = 0x10;
  expected[4] = 0x5c;
  expected[5] = 0x02;
  expected[7] = 20;
  expected[8] = 0x01;   // SITUA
  expected[21] = 0x01;  // the available resource
  assert_true(page() == expected);
  rig->disk->set_soft_threshold(Bytes{(5 << 20) + 1});
  expected[20] = 0x80;  // ENABLED
  expected[27] = 6;
  assert_true(page() == expected);
}

void all_pages_have_their_subpages_only_if_they_are_asked_for(void**) {
  const Rig rig{new DiskRig{usual_config(), Bytes{4 << 20}, {}, thin}};
  assert_int_equal(rig->ask(sense_6(0x3f)).transferred, 4 + 12 + 20 + 12 + 12);
  assert_int_equal(rig->ask(sense_6(0x3f, dbd, 0xff)).transferred, 4 + 12 + 20 + 12 + 12 + 24);
  assert_int_equal(rig->ask(sense_6(0x1c)).transferred, 4 + 12);
  assert_int_equal(rig->ask(sense_6(0x1c, dbd, 0xff)).transferred, 4 + 12 + 24);
  assert_true(rig->ask(sense_6(0x1c, dbd, 0x03)).bad_field(3));
  assert_true(rig->ask(sense_6(0x0a, dbd, 0x02)).bad_field(3));
  const Rig other{cached_rig()};
  assert_true(other->ask(sense_6(0x1c, dbd, 0x02)).bad_field(3));
}

void notices_of_the_threshold_are_enabled_where_there_is_one(void**) {
  Bytes8 expected(4 + 12);
  expected[0] = 15;
  expected[2] = 0x10;
  expected[4] = 0x01;
  expected[5] = 0x0a;
  assert_true(Rig { cached_rig() } -> ask(sense_6(0x01)).reply == expected);
  expected[4 + 7] = 0x80;  // LBPERE
  const Rig rig{new DiskRig{usual_config(), Bytes{4 << 20}, {}, thin}};
  assert_true(rig->ask(sense_6(0x01)).reply == expected);
}

void the_notice_says_which_threshold_it_is(void**) {
  const Rig rig{new DiskRig{usual_config(), Bytes{4 << 20}, {}, thin}};
  rig->disk->post_unit_attention(asc::soft_threshold_reached);
  const Answer answer = rig->ask(cdb_of(0x28, 0, 0, 1));
  assert_true(answer.failed(SenseKey::unit_attention, asc::soft_threshold_reached));
  assert_int_equal(answer.information().value(), 16);
}

void an_initiator_cannot_set_the_threshold(void**) {
  const Rig rig{new DiskRig{usual_config(), Bytes{4 << 20}, {}, thin}};
  Bytes8 list = rig->ask(sense_6(0x3f, dbd, 0xff)).reply;
  list[0] = 0;
  const std::size_t at = list.size() - 24;
  const auto with = [&](std::size_t byte, std::uint8_t value) {
    Bytes8 changed = list;
    changed[at + byte] = value;
    return changed;
  };
  const auto send = [&rig](const Bytes8& sent) { return rig->send(select_6(sent.size()), sent); };
  assert_true(send(list).good());
  assert_true(send(with(1, 0x03)).bad_parameter(at + 1));
  assert_true(send(with(3, 21)).bad_parameter(at + 2));
  assert_true(send(with(16, 0x80)).bad_parameter(at + 16, 7));
  assert_true(send(with(23, 1)).bad_parameter(at + 23, 0));
  for (std::size_t length = at + 1; length < list.size(); ++length) {
    const Bytes8 cut{list.begin(), list.begin() + static_cast<std::ptrdiff_t>(length)};
    assert_true(send(cut).illegal(asc::parameter_list_length_error));
  }
}

void a_block_descriptor_may_say_only_what_is(void**) {
  const Rig rig{cached_rig()};
  Bytes8 list = rig->ask(sense_6(0x08, 0)).reply;
  list[0] = 0;
  assert_true(rig->send(select_6(list.size()), list).good());
  put32(list, 4, 0);
  assert_true(rig->send(select_6(list.size()), list).good());
  put32(list, 4, 8191);
  assert_true(rig->send(select_6(list.size()), list).bad_parameter(4));
  put32(list, 4, 0);
  list[10] = 0x10;
  assert_true(rig->send(select_6(list.size()), list).bad_parameter(9));
}

void mode_select_10_takes_what_mode_sense_10_gave(void**) {
  const Rig rig{cached_rig()};
  for (const std::uint8_t flags : Bytes8{0x00, 0x08, 0x10}) {
    Bytes8 list = rig->ask({0x5a, flags, 0x3f, 0, 0, 0, 0, 0x02, 0x00, 0}).reply;
    Bytes8 cdb{0x55, 0x10, 0, 0, 0, 0, 0, 0, 0, 0};
    put16(cdb, 7, list.size());
    assert_true(rig->send(cdb, list, 5).good());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(mode_sense_6_has_header_descriptor_and_page),
      cmocka_unit_test(mode_sense_10_has_a_longer_header),
      cmocka_unit_test(llbaa_gives_a_long_descriptor),
      cmocka_unit_test(all_pages_come_in_order),
      cmocka_unit_test(the_reply_is_cut_to_the_allocation_length),
      cmocka_unit_test(a_page_that_there_is_not_is_refused),
      cmocka_unit_test(where_nobody_keeps_values_there_are_no_saved_ones),
      cmocka_unit_test(changeable_values_are_a_mask),
      cmocka_unit_test(wce_can_be_cleared_and_stays_so),
      cmocka_unit_test(wce_cannot_be_set_where_there_is_no_cache),
      cmocka_unit_test(d_sense_gives_sense_in_descriptors),
      cmocka_unit_test(modes_are_kept_before_they_are_in_force),
      cmocka_unit_test(the_saved_values_are_the_current_ones),
      cmocka_unit_test(values_that_cannot_be_saved_are_not_set_if_saving_was_asked_for),
      cmocka_unit_test(a_disk_has_the_modes_of_its_last_life),
      cmocka_unit_test(a_store_without_cache_has_none_again),
      cmocka_unit_test(swp_protects_until_it_is_cleared),
      cmocka_unit_test(a_list_with_an_error_changes_nothing),
      cmocka_unit_test(each_mistake_in_a_list_has_its_own_sense),
      cmocka_unit_test(each_mistake_in_the_cdb_is_pointed_at),
      cmocka_unit_test(a_store_that_tells_its_room_has_a_page_with_the_threshold),
      cmocka_unit_test(all_pages_have_their_subpages_only_if_they_are_asked_for),
      cmocka_unit_test(notices_of_the_threshold_are_enabled_where_there_is_one),
      cmocka_unit_test(the_notice_says_which_threshold_it_is),
      cmocka_unit_test(an_initiator_cannot_set_the_threshold),
      cmocka_unit_test(a_block_descriptor_may_say_only_what_is),
      cmocka_unit_test(mode_select_10_takes_what_mode_sense_10_gave),
  };
  return cmocka_run_group_tests_name("mode", tests, nullptr, nullptr);
}
