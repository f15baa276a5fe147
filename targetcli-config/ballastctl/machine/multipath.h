// SPDX-License-Identifier: Apache-2.0
// dm-multipath over Ballast's disks: which disk is a path of which map, and the settings of
// multipathd that decide what happens when paths fail.
//
// Two settings count, for two different troubles:
//   fast_io_fail_tmo  A path is lost (a cable, a portal, a gateway). multipathd writes this value
//                     into recovery_tmo of the path's session when it takes the path, whatever was
//                     there (sysfs_set_session_tmo, libmultipath/discovery.c), so
//                     node.session.timeo.replacement_timeout is without effect. Before that time
//                     is over, the session's commands do not go by another path. So it is short.
//                     If it is "off" or 0, multipathd leaves recovery_tmo as it is.
//   no_path_retry     No path is left, as when the target itself restarts: all paths lead to it.
//                     "queue" holds I/O until a path comes back, a number holds it for so many
//                     polling intervals, and "fail" fails it at once.
// A frozen store is no lost path: the target answers BUSY by every path, and the settings of the
// disks themselves hold the commands (wanted.h). dev_loss_tmo is for Fibre Channel only.
//
// Blocks; single-threaded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "targetcli-config/ballastctl/machine/files.h"
#include "targetcli-config/ballastctl/machine/multipath_conf.h"
#include "targetcli-config/ballastctl/machine/wanted.h"

namespace ballast::ctl::multipath {

// Ballast's own file. Other files are the operator's.
inline constexpr const char* file_path = "/etc/multipath/conf.d/ballast.conf";

inline constexpr const char* fast_io_fail_tmo = "fast_io_fail_tmo";
inline constexpr const char* no_path_retry = "no_path_retry";

struct Map {
  std::string name;  // "mpatha"
  std::string wwid;
  std::vector<std::string> paths;  // "sda", "sdb"
};

// Returns the map that has the disk as a path. nullopt: none has.
std::optional<Map> map_of(const Files& files, const std::string& disk);

struct Daemon {
  bool installed = false;
  bool running = false;
  // The configuration in use; of a multipathd that does not run, the one that it would have.
  std::optional<Section> configuration;
  // The operator's files, by path, in the order in which multipathd reads them.
  std::vector<std::pair<std::string, Section>> files;
};
// Asks multipathd, which answers within its uxsock_timeout (4 s). Starts nothing.
Daemon daemon(const Files& files);
// Has multipathd read its files again. A multipathd that does not run reads them when it starts.
Result<void> reconfigure(const Files& files);

// multipathd waits this long between two looks at a path.
Nanoseconds polling_interval(const Daemon& daemon);
// The value that counts for a disk, as multipath.conf has it. nullopt: multipathd does not tell.
std::optional<std::string> in_use(const Daemon& daemon, const Identity& disk,
                                  std::string_view setting);
// How long I/O waits without a path, with this value of no_path_retry and of polling_interval;
// for_ever: until one is back.
Nanoseconds waits(std::string_view value, Nanoseconds interval);
// Whether the value is good enough for the goal.
bool is_good(std::string_view setting, std::string_view value, Nanoseconds interval,
             const Goal& goal);
// The value for a disk that has no good one.
std::string good_value(std::string_view setting);

struct Said {
  std::string path;  // of the operator's file
  std::string value;
};
// What a file of the operator says of this disk, or of all disks with `overrides`. It is stronger
// than a device section of ours, or means the same disks.
std::optional<Said> operator_says(const Daemon& daemon, const Identity& disk,
                                  std::string_view setting);

}  // namespace ballast::ctl::multipath
