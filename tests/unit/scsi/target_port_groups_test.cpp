// SPDX-License-Identifier: Apache-2.0
// Two gateways of one store: what their reports say, what SET TARGET PORT GROUPS takes and refuses,
// and what a LUN answers while the other gateway has its store.
#include "lib/scsi/target_port_groups.h"

#include "tests/unit/scsi/rig.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;
using backend::Access;
using backend::Move;
using scsi::AccessState;
using scsi::SenseKey;
namespace asc = scsi::asc;

namespace {

Bytes8 report(bool extended, std::uint32_t room = 512) {
  Bytes8 cdb(12);
  cdb[0] = 0xa3;
  cdb[1] = extended ? 0x2a : 0x0a;
  put32(cdb, 6, room);
  return cdb;
}

Bytes8 change(std::uint32_t length) {
  Bytes8 cdb(12);
  cdb[0] = 0xa4;
  cdb[1] = 0x0a;
  put32(cdb, 6, length);
  return cdb;
}

// A list with one descriptor.
Bytes8 list_of(std::uint8_t state, std::uint16_t group) {
  return {0,
          0,
          0,
          0,
          state,
          0,
          static_cast<std::uint8_t>(group >> 8),
          static_cast<std::uint8_t>(group)};
}

Answer set(DiskRig& rig, const Bytes8& list) {
  return rig.send(change(static_cast<std::uint32_t>(list.size())), list);
}

// --- the report

void both_headers_have_the_same_groups(void**) {
  DiskRig rig{with_groups()};
  const Answer plain = rig.ask(report(false));
  assert_true(plain.good());
  const Bytes8 groups{0x00, 0x85, 0, 1, 0, 0, 0, 1, 0, 0, 0, 11,
                      0x02, 0x85, 0, 2, 0, 0, 0, 1, 0, 0, 0, 22};
  assert_int_equal(plain.transferred, 4 + groups.size());
  assert_int_equal(be32(plain.reply, 0), groups.size());
  assert_memory_equal(plain.reply.data() + 4, groups.data(), groups.size());
  const Answer extended = rig.ask(report(true));
  assert_int_equal(extended.transferred, 8 + groups.size());
  assert_int_equal(be32(extended.reply, 0), 4 + groups.size());
  assert_int_equal(extended.reply[4], 0x10);
  assert_int_equal(extended.reply[5], 60);
  assert_memory_equal(extended.reply.data() + 8, groups.data(), groups.size());
  assert_int_equal(rig.ask(report(false, 4)).transferred, 4);
}

void a_report_says_who_owns_the_store(void**) {
  const scsi::TargetPortGroups groups = two_groups();
  const auto states = [&](const scsi::GroupStates& known) {
    return std::pair{scsi::state_of(groups, 1, known), scsi::state_of(groups, 2, known)};
  };
  using enum AccessState;
  assert_true(states({active_optimized, false, 0}) == std::pair(active_optimized, standby));
  assert_true(states({standby, false, 0}) == std::pair(standby, standby));
  assert_true(states({standby, true, 2}) == std::pair(standby, active_optimized));
  assert_true(states({transitioning, true, 2}) == std::pair(transitioning, active_optimized));
  // An owner without a group can only be the other one of two.
  assert_true(states({standby, true, 0}) == std::pair(standby, active_optimized));
  // An earlier connection of this gateway still has the lock.
  assert_true(states({standby, true, 1}) == std::pair(standby, standby));
}

void of_three_gateways_only_the_owners_group_is_active(void**) {
  scsi::TargetPortGroups groups = two_groups();
  groups.all.push_back({.id = 3, .ports = {33}});
  const scsi::GroupStates third{AccessState::standby, true, 3};
  assert_true(scsi::state_of(groups, 2, third) == AccessState::standby);
  assert_true(scsi::state_of(groups, 3, third) == AccessState::active_optimized);
  const scsi::GroupStates unknown{AccessState::standby, true, 0};
  assert_true(scsi::state_of(groups, 2, unknown) == AccessState::standby);
}

// --- the change

void a_group_is_made_active_and_standby(void**) {
  DiskRig rig{with_groups()};
  rig.shared.now = Access::standby;
  assert_true(set(rig, list_of(0, 1)).good());
  assert_true(rig.shared.now == Access::active);
  assert_true(set(rig, list_of(2, 1)).good());
  assert_true(rig.shared.now == Access::standby);
  assert_int_equal(rig.shared.asked, 2);
}

void a_list_without_a_group_changes_nothing(void**) {
  DiskRig rig{with_groups()};
  assert_true(rig.send(change(0)).good());
  assert_true(set(rig, Bytes8(4)).good());
  assert_int_equal(rig.shared.asked, 0);
}

void a_bad_list_changes_nothing(void**) {
  DiskRig rig{with_groups()};
  for (const std::uint32_t length : {1U, 3U, 5U, 7U, 9U, 10000U}) {
    assert_true(rig.send(change(length), Bytes8(512)).bad_field(6));
  }
  assert_true(rig.send(change(8), Bytes8(4)).illegal(asc::parameter_list_length_error));
  for (std::size_t byte = 0; byte < 4; ++byte) {
    Bytes8 list = list_of(0, 1);
    list[byte] = 0x40;
    assert_true(set(rig, list).bad_parameter(byte, 6));
  }
  for (const std::uint8_t state : Bytes8{1, 3, 4, 14, 15}) {
    assert_true(set(rig, list_of(state, 1)).bad_parameter(4, 3));
  }
  assert_true(set(rig, list_of(0x80, 1)).bad_parameter(4, 7));
  Bytes8 reserved = list_of(0, 1);
  reserved[5] = 1;
  assert_true(set(rig, reserved).bad_parameter(5, 0));
  assert_true(set(rig, list_of(0, 2)).bad_parameter(6));       // another gateway's
  assert_true(set(rig, list_of(0, 0x0100)).bad_parameter(6));  // unknown
  Bytes8 several = list_of(0, 1);
  const Bytes8 second{2, 0, 0, 2};
  several.insert(several.end(), second.begin(), second.end());
  assert_true(set(rig, several).bad_parameter(8));
  assert_int_equal(rig.shared.asked, 0);
}

void a_change_that_does_not_succeed_says_how(void**) {
  DiskRig rig{with_groups()};
  rig.shared.now = Access::standby;
  for (const Move busy : {Move::held, Move::under_way}) {
    rig.shared.ends = busy;
    assert_true(set(rig, list_of(0, 1)).status == scsi::Status::busy);
  }
  rig.shared.ends = Move::failed;
  assert_true(
      set(rig, list_of(0, 1)).failed(SenseKey::hardware_error, asc::set_target_port_groups_failed));
}

// --- the LUN

// SPC-4, 5.15.2.4.4; and READ CAPACITY and the reports of commands, as initiators need them.
void in_standby_a_lun_tells_of_itself_and_nothing_else(void**) {
  DiskRig rig{with_groups()};
  rig.shared.now = Access::standby;
  const Bytes8 served{0x03, 0x12, 0x15, 0x1a, 0x25, 0x4d, 0x55, 0x5a, 0xa3, 0xa4};
  for (const scsi::Operation& operation : scsi::operations()) {
    const bool is_read_capacity = operation.opcode == 0x9e && operation.service_action == 0x10;
    const bool wanted = is_read_capacity || std::ranges::count(served, operation.opcode) > 0;
    assert_int_equal(operation.in_standby, wanted);
  }
  for (const auto& [access, why] : {std::pair{Access::standby, asc::port_in_standby_state},
                                    std::pair{Access::transition, asc::access_state_transition}}) {
    rig.shared.now = access;
    assert_true(rig.ask({0x00, 0, 0, 0, 0, 0}).failed(SenseKey::not_ready, why));
    assert_true(rig.ask(cdb_of(0x28, 0, 0, 1)).failed(SenseKey::not_ready, why));
    assert_true(rig.send(cdb_of(0x8a, 0, 0, 1), Bytes8(512)).failed(SenseKey::not_ready, why));
    assert_true(rig.ask(cdb_of(0x35, 0, 0, 0)).failed(SenseKey::not_ready, why));
    assert_true(rig.ask({0x12, 0, 0, 0, 96, 0}).good());
    assert_true(rig.ask({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}).good());
    assert_true(rig.ask(report(true)).good());
  }
  assert_int_equal(rig.ask(report(false)).reply[4], 0x0f);
  assert_true(rig.spy->ops.empty());
  rig.shared.now = Access::active;
  assert_true(rig.ask({0x00, 0, 0, 0, 0, 0}).good());
}

// The store was lost while a command was on its way to it.
void a_command_that_comes_too_late_is_not_ready_as_well(void**) {
  DiskRig rig{with_groups()};
  const Bytes8 cdb = cdb_of(0x28, 0, 0, 1);
  const Data buffer{Bytes8(512)};
  std::array<std::uint8_t, scsi::sense_size> sense{};
  scsi::Command command;
  command.cdb = cdb;
  command.data = buffer.view();
  command.sense = sense;
  std::optional<scsi::Status> status;
  rig.spy->gate.reset();
  rig.start(rig.disk->execute(command), &status);
  assert_false(status.has_value());
  rig.shared.now = Access::standby;
  rig.spy->failures["read"] = IoStatus::not_ready;
  rig.spy->gate.set();
  rig.run();
  assert_true(status == scsi::Status::check_condition);
  assert_int_equal(sense[12], 0x04);
  assert_int_equal(sense[13], 0x0b);
}

void inquiry_and_designators_tell_of_the_group(void**) {
  DiskRig alone{usual_config()};
  assert_int_equal(alone.ask({0x12, 0, 0, 0, 96, 0}).reply[5], 0x08);  // 3PC
  DiskRig rig{with_groups()};
  assert_int_equal(rig.ask({0x12, 0, 0, 0, 96, 0}).reply[5], 0x28);  // TPGS 10b, 3PC
  const Bytes8 page = rig.ask({0x12, 1, 0x83, 1, 0, 0}).reply;
  const Bytes8 before = alone.ask({0x12, 1, 0x83, 1, 0, 0}).reply;
  assert_int_equal(page.size(), before.size() + 16);
  assert_int_equal(be16(page, 2) + 4u, page.size());
  const Bytes8 port{0x01, 0x14, 0, 4, 0, 0, 0, 11, 0x01, 0x15, 0, 4, 0, 0, 0, 1};
  assert_memory_equal(page.data() + before.size(), port.data(), port.size());
  assert_int_equal(rig.shared.own_group, 1);
}

void new_groups_are_told_once(void**) {
  DiskRig rig{with_groups()};
  rig.disk->set_groups(two_groups());
  assert_true(rig.ask({0x00, 0, 0, 0, 0, 0}).good());
  scsi::TargetPortGroups groups = two_groups();
  groups.own_group = 2;
  groups.own_port = 22;
  rig.disk->set_groups(groups);
  assert_true(rig.ask({0x00, 0, 0, 0, 0, 0})
                  .failed(SenseKey::unit_attention, asc::inquiry_data_has_changed));
  assert_int_equal(rig.shared.own_group, 2);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(both_headers_have_the_same_groups),
      cmocka_unit_test(a_report_says_who_owns_the_store),
      cmocka_unit_test(of_three_gateways_only_the_owners_group_is_active),
      cmocka_unit_test(a_group_is_made_active_and_standby),
      cmocka_unit_test(a_list_without_a_group_changes_nothing),
      cmocka_unit_test(a_bad_list_changes_nothing),
      cmocka_unit_test(a_change_that_does_not_succeed_says_how),
      cmocka_unit_test(in_standby_a_lun_tells_of_itself_and_nothing_else),
      cmocka_unit_test(a_command_that_comes_too_late_is_not_ready_as_well),
      cmocka_unit_test(inquiry_and_designators_tell_of_the_group),
      cmocka_unit_test(new_groups_are_told_once),
  };
  return cmocka_run_group_tests_name("target_port_groups", tests, nullptr, nullptr);
}
