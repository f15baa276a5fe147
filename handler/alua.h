// SPDX-License-Identifier: Apache-2.0
// Reads the target port groups of a LUN from configfs, where targetcli makes them:
//
//   core/user_N/NAME/alua/GROUP/tg_pt_gp_id    the group's number
//   core/user_N/NAME/alua/GROUP/members        one line for each port: iSCSI/<iqn>/tpgt_1/lun_0
//   iscsi/<iqn>/tpgt_1/enable                  whether the port takes commands on this machine
//
// TCMU does not tell by which port a command came. So a gateway enables one port only, and that is
// the port of all commands; the ports of the other gateways exist here, but are disabled. The tag
// of a TPG is the RELATIVE TARGET PORT IDENTIFIER of its port, because the kernel's own numbers
// depend on the order in which ports were made, and must be equal on all gateways.
//
// The kernel's state of a group stays active/optimized, so the kernel lets every command through
// (target_alua_state_check in target_core_alua.c), and the plugin alone enforces "standby".
#pragma once

#include <string>

#include "lib/scsi/target_port_groups.h"

namespace ballast::handler {

struct GroupReading {
  scsi::TargetPortGroups groups{};  // none if something is wrong with them
  std::string problem{};            // what is wrong, and what to do; empty: nothing
};

// `folder`: the folder alua of the backstore. `targets`: the folder with the targets of all
// fabrics, /sys/kernel/config/target. Blocks.
GroupReading read_groups(int folder, const std::string& targets);

}  // namespace ballast::handler
