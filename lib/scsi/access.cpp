// SPDX-License-Identifier: Apache-2.0
// Asymmetric logical unit access (SPC-4, 5.15): what a LUN answers while its store belongs to
// another gateway, and the commands that report and change that.
#include <algorithm>

#include "lib/scsi/cdb.h"
#include "lib/scsi/disk.h"

namespace ballast::scsi {
namespace {

// How long a SET TARGET PORT GROUPS waits for the change. After BUSY, the initiator sends it again,
// and it joins the change that is under way. Linux gives it 60 s.
constexpr Nanoseconds change_patience = std::chrono::seconds{15};

AccessState access_state(backend::Access access) {
  switch (access) {
    case backend::Access::active:
      return AccessState::active_optimized;
    case backend::Access::transition:
      return AccessState::transitioning;
    case backend::Access::standby:
      break;
  }
  return AccessState::standby;
}

}  // namespace

Sense Disk::not_ready() const {
  AdditionalSense what = asc::cause_not_reportable;
  if (*access_ == backend::Access::transition) {
    what = asc::access_state_transition;
  } else if (*access_ == backend::Access::standby) {
    what = asc::port_in_standby_state;
  }
  return Sense{.key = SenseKey::not_ready, .what = what};
}

void Disk::set_groups(const TargetPortGroups& groups) {
  if (groups == config_.groups) {
    return;
  }
  config_.groups = groups;
  if (config_.shared != nullptr) {
    config_.shared->set_group(groups.own_group);
  }
  post_unit_attention(asc::inquiry_data_has_changed);
}

Status Disk::report_target_port_groups(Command& command) {
  const bool extended = (command.cdb[1] & 0x20) != 0;
  const backend::StoreOwner owner = config_.shared->owner();
  const GroupStates states{
      .own = access_state(*access_),
      .other_owns = !owner.address.empty() && *access_ != backend::Access::active,
      .owner_group = owner.group};
  std::array<std::uint8_t, longest_group_report> data;
  const std::size_t length = write_group_report(config_.groups, states, extended, data);
  return reply(command, std::span{data}.first(length), be32(command.cdb, 6));
}

GroupChange Disk::read_change(const Command& command) const {
  const std::size_t length = be32(command.cdb, 6);
  if (!is_group_change_length(length)) {
    return {.error = invalid_field_in_cdb(6)};
  }
  std::array<std::uint8_t, 512> bytes;
  if (command.data.size() < length) {
    return {.error = illegal_request(asc::parameter_list_length_error)};
  }
  const std::span<std::uint8_t> list = std::span{bytes}.first(length);
  io::copy(std::as_writable_bytes(list), command.data.slice(0, length));
  return read_group_change(config_.groups, list);
}

co::Task<Status> Disk::set_target_port_groups(Command& command) {
  const GroupChange change = read_change(command);
  if (change.error.has_value()) {
    co_return fail(command, *change.error);
  }
  backend::Move ended = backend::Move::done;
  if (change.wanted.has_value()) {
    const TimePoint until = executor_.now() + change_patience;
    const co::CancelToken cancel = request_of(command).token();
    backend::SharedStore& store = *config_.shared;
    if (*change.wanted == AccessState::active_optimized) {
      ended = co_await store.take_over(backend::Asker::initiator, until, cancel);
    } else {
      ended = co_await store.give_back(backend::Asker::initiator, until, cancel);
    }
  }
  switch (ended) {
    case backend::Move::done:
      command.transferred = be32(command.cdb, 6);
      co_return Status::good;
    case backend::Move::under_way:
    case backend::Move::held:
      co_return Status::busy;
    case backend::Move::failed:
      break;
  }
  co_return fail(
      command, Sense{.key = SenseKey::hardware_error, .what = asc::set_target_port_groups_failed});
}

}  // namespace ballast::scsi
