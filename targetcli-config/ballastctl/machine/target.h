// SPDX-License-Identifier: Apache-2.0
// The LUNs of a target that Ballast serves, and the command windows of the sessions, as configfs
// shows them (/sys/kernel/config/target; drivers/target/target_core_user.c,
// iscsi_target_configfs.c). Nothing here writes. Blocks; single-threaded.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/limits.h"
#include "lib/base/units.h"
#include "lib/lun/profiles.h"
#include "targetcli-config/ballastctl/machine/files.h"
#include "targetcli-config/ballastctl/machine/settings.h"

namespace ballast::ctl {

struct TargetLun {
  std::string name;           // of the backstore
  std::string folder;         // of the backstore in configfs
  std::string configuration;  // its own string, without "ballast/"
  config::Limits limits;      // with those of /etc/ballast/ballast.conf
  Value cmd_time_out, hw_max_sectors, hw_block_size, max_data_area_mb;
  // The timeout of the SCSI disk that the LUN is on; text is empty if it is on no such disk.
  Value backend_timeout;
};

// A LUN of a portal group. Initiators see it through an ACL that maps it, or, if they need no ACL,
// under this number.
struct PortalLun {
  std::string backstore;
  std::string target;        // IQN
  std::string portal_group;  // "1"
  std::string number;        // "0"
  auto operator<=>(const PortalLun&) const = default;
};

// An address where initiators log in.
struct Portal {
  std::string target;        // IQN
  std::string portal_group;  // "1"
  std::string address;       // "0.0.0.0:3260", "[::0]:3260"
  auto operator<=>(const Portal&) const = default;
};

// Where an initiator sees a backstore.
struct Export {
  std::string backstore;
  std::string target;        // IQN
  std::string portal_group;  // "1"
  std::string number;        // the LUN number that this initiator sees, "0"
  std::string initiator;     // empty: any, because initiators need no ACL
  auto operator<=>(const Export&) const = default;
};

// The command window of one initiator: of its ACL, or of the TPG if initiators need no ACL.
struct CommandWindow {
  std::string target;               // IQN
  std::string initiator;            // empty: any
  Value depth;                      // cmdsn_depth of the ACL, default_cmdsn_depth of the TPG
  std::uint64_t luns = 0;           // LUNs of Ballast in it
  std::uint64_t sharing = 0;        // those of them with stall_window=auto
  std::uint64_t stalled_share = 0;  // slots that all of them hold while they are stalled
};

std::vector<TargetLun> target_luns(const Files& files);
// As the machine's files have them.
Result<lun::Profiles> profiles(const Files& files);
// Of these LUNs.
std::vector<PortalLun> portal_luns(const Files& files, const std::vector<TargetLun>& luns);
// Of the portal groups that are enabled and have one of these LUNs.
std::vector<Portal> portals(const Files& files, const std::vector<TargetLun>& luns);
std::vector<Export> exports(const Files& files, const std::vector<TargetLun>& luns);
std::vector<CommandWindow> command_windows(const Files& files, const std::vector<TargetLun>& luns);

}  // namespace ballast::ctl
