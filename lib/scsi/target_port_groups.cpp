// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/target_port_groups.h"

#include <algorithm>
#include <bit>

#include "lib/base/assert.h"
#include "lib/scsi/cdb.h"

namespace ballast::scsi {
namespace {

// Of the transition that another initiator may have asked for: how long an initiator waits for its
// end. Linux takes 60 s by itself if none is given.
constexpr std::uint8_t transition_seconds = 60;
constexpr std::uint8_t extended_format = 0x10;
// T_SUP, S_SUP, AO_SUP: the states that a group can have.
constexpr std::uint8_t supported_states = 0x80 | 0x04 | 0x01;

constexpr std::size_t change_header = 4;
constexpr std::size_t change_descriptor = 4;
constexpr std::size_t most_descriptors = 64;

bool has(const TargetPortGroups& groups, std::uint16_t id) {
  return std::any_of(groups.all.begin(), groups.all.end(),
                     [id](const TargetPortGroup& group) { return group.id == id; });
}

// The first byte of `bytes` that is not 0, as a position in the whole list.
std::optional<Sense> refuse_reserved(std::span<const std::uint8_t> list, std::size_t from,
                                     std::size_t count) {
  for (std::size_t i = from; i < from + count; ++i) {
    if (list[i] != 0) {
      return invalid_field_in_parameter_list(i, std::bit_width(list[i]) - 1);
    }
  }
  return std::nullopt;
}

GroupChange refuse(Sense sense) {
  return {.error = sense};
}

}  // namespace

AccessState state_of(const TargetPortGroups& groups, std::uint16_t id, const GroupStates& states) {
  if (id == groups.own_group) {
    return states.own;
  }
  if (states.own == AccessState::active_optimized || !states.other_owns) {
    return AccessState::standby;
  }
  // An owner that did not say its group is the other gateway, if there is only one.
  const bool is_owner =
      states.owner_group == id || (!has(groups, states.owner_group) && groups.all.size() == 2);
  return is_owner ? AccessState::active_optimized : AccessState::standby;
}

std::size_t write_group_report(const TargetPortGroups& groups, const GroupStates& states,
                               bool extended, std::span<std::uint8_t, longest_group_report> out) {
  BALLAST_ASSERT(groups.all.size() <= TargetPortGroups::most_groups);
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  std::size_t at = 4;
  if (extended) {
    out[4] = extended_format;
    out[5] = transition_seconds;
    at = 8;
  }
  for (const TargetPortGroup& group : groups.all) {
    BALLAST_ASSERT(group.ports.size() <= TargetPortGroups::most_ports);
    out[at] = static_cast<std::uint8_t>(state_of(groups, group.id, states));
    out[at + 1] = supported_states;
    put16(out, at + 2, group.id);
    out[at + 7] = static_cast<std::uint8_t>(group.ports.size());
    at += 8;
    for (const std::uint16_t port : group.ports) {
      put16(out, at + 2, port);
      at += 4;
    }
  }
  put32(out, 0, at - 4);
  return at;
}

bool is_group_change_length(std::size_t length) {
  return length == 0 || (length >= change_header && length % change_descriptor == 0 &&
                         length <= change_header + most_descriptors * change_descriptor);
}

GroupChange read_group_change(const TargetPortGroups& groups, std::span<const std::uint8_t> list) {
  BALLAST_ASSERT(is_group_change_length(list.size()));
  if (list.empty()) {
    return {};
  }
  if (const std::optional<Sense> reserved = refuse_reserved(list, 0, change_header)) {
    return refuse(*reserved);
  }
  if (list.size() == change_header) {
    return {};
  }
  if ((list[4] & 0xf0) != 0) {
    return refuse(invalid_field_in_parameter_list(4, 7));
  }
  const auto wanted = static_cast<AccessState>(list[4]);
  if (wanted != AccessState::active_optimized && wanted != AccessState::standby) {
    return refuse(invalid_field_in_parameter_list(4, 3));
  }
  if (const std::optional<Sense> reserved = refuse_reserved(list, 5, 1)) {
    return refuse(*reserved);
  }
  // Another gateway's group can be changed there only.
  if (be16(list, 6) != groups.own_group) {
    return refuse(invalid_field_in_parameter_list(6));
  }
  if (list.size() > change_header + change_descriptor) {
    return refuse(invalid_field_in_parameter_list(change_header + change_descriptor));
  }
  return {.wanted = wanted};
}

}  // namespace ballast::scsi
