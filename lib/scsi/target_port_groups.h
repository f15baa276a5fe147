// SPDX-License-Identifier: Apache-2.0
// Target port groups (SPC-4, 5.15): the parameter data of REPORT TARGET PORT GROUPS (6.37) and SET
// TARGET PORT GROUPS (6.45).
//
// Each gateway of a shared store is one group. All gateways report the same groups with the same
// numbers, and differ only in which group is their own. Access changes by SET TARGET PORT GROUPS
// only (explicit), and a command can change the group only of the gateway that it was sent to.
//
// Pure functions. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/scsi/sense.h"

namespace ballast::scsi {

// ASYMMETRIC ACCESS STATE; only those that a group here can have.
enum class AccessState : std::uint8_t {
  active_optimized = 0x0,
  standby = 0x2,
  transitioning = 0xf
};

struct TargetPortGroup {
  std::uint16_t id = 0;
  std::vector<std::uint16_t> ports{};  // RELATIVE TARGET PORT IDENTIFIER
  friend bool operator==(const TargetPortGroup&, const TargetPortGroup&) = default;
};

struct TargetPortGroups {
  // More are not shown.
  static constexpr std::size_t most_groups = 8;
  static constexpr std::size_t most_ports = 8;  // of one group

  std::vector<TargetPortGroup> all{};  // by id; empty: the LUN has no groups
  std::uint16_t own_group = 0;         // that of the port by which commands come
  std::uint16_t own_port = 0;
  bool empty() const { return all.empty(); }
  friend bool operator==(const TargetPortGroups&, const TargetPortGroups&) = default;
};

// Who may use the store, as this gateway knows it.
struct GroupStates {
  AccessState own = AccessState::standby;
  bool other_owns = false;        // another client owns the store
  std::uint16_t owner_group = 0;  // its group; 0: not known
};
AccessState state_of(const TargetPortGroups& groups, std::uint16_t id, const GroupStates& states);

// Writes the parameter data of REPORT TARGET PORT GROUPS, with the extended header if `extended`
// (PARAMETER DATA FORMAT 001b). Returns its length.
inline constexpr std::size_t longest_group_report =
    8 + TargetPortGroups::most_groups * (8 + TargetPortGroups::most_ports * 4);
std::size_t write_group_report(const TargetPortGroups& groups, const GroupStates& states,
                               bool extended, std::span<std::uint8_t, longest_group_report> out);

// A SET TARGET PORT GROUPS: what is wrong with its parameter list, or what it asks for.
struct GroupChange {
  std::optional<Sense> error{};
  // For the own group: active_optimized or standby. Nothing: the list has no descriptor.
  std::optional<AccessState> wanted{};
};
// PARAMETER LIST LENGTH must be 0, or that of a header and whole descriptors.
bool is_group_change_length(std::size_t length);
// `list` has such a length.
GroupChange read_group_change(const TargetPortGroups& groups, std::span<const std::uint8_t> list);

}  // namespace ballast::scsi
