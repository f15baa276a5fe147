// SPDX-License-Identifier: Apache-2.0
// A target's LUNs that Ballast serves, and the sessions' command windows, as configfs shows them
// (/sys/kernel/config/target; drivers/target/target_core_user.c, iscsi_target_configfs.c). Nothing
// here writes.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/limits.h"
#include "lib/base/units.h"
#include "targetcli-config/ballastctl/machine/files.h"
#include "targetcli-config/ballastctl/machine/settings.h"

namespace ballast::ctl {

struct TargetLun {
  std::string name;           // the backstore's
  std::string configuration;  // without "ballast/"
  config::Limits limits;
  Value cmd_time_out, hw_max_sectors, hw_block_size, max_data_area_mb;
  // Of the disk below, where the LUN is on a SCSI disk; text is empty where it has none.
  Value backend_timeout;
};

// One initiator's window: an ACL, or the TPG where initiators need none.
struct CommandWindow {
  std::string target;               // IQN
  std::string initiator;            // empty: any
  Value depth;                      // cmdsn_depth of the ACL, default_cmdsn_depth of the TPG
  std::uint64_t luns = 0;           // of ours
  std::uint64_t sharing = 0;        // those with stall_window=auto
  std::uint64_t stalled_share = 0;  // what all of them hold while they are stalled
};

std::vector<TargetLun> target_luns(const Files& files);
std::vector<CommandWindow> command_windows(const Files& files, const std::vector<TargetLun>& luns);

}  // namespace ballast::ctl
