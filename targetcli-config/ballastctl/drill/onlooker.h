// SPDX-License-Identifier: Apache-2.0
// Watches everything on this machine that a freeze of one store could hurt, during a fire drill:
// the LUNs (by the plugin's answers to Stats), the sessions of this initiator and their disks
// (sysfs, and the connection errors of NETLINK_ISCSI), and the sessions of initiators that have an
// ACL (configfs). What it saw at its first look are the witnesses.
//
// It judges what the caller hands it, and reads only sysfs and configfs: pure but for these.
// Single-threaded.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "targetcli-config/ballastctl/machine/files.h"
#include "targetcli-config/ballastctl/watch/watch.h"

namespace ballast::ctl::drill {

// Something that has outlived the drill, or has not.
struct Witness {
  std::string kind;   // "daemon", "LUN", "session", "disk", "initiator"
  std::string name;   // "vol0", "session1", "sda", "iqn.…"
  std::string about;  // whose it is; may be empty
  // Of a LUN, during the drill: its longest answer among those that were GOOD, and how many were
  // BUSY or TASK SET FULL, to be asked for again.
  std::optional<Nanoseconds> longest;
  std::uint64_t busy = 0;
  std::vector<std::string> troubles;  // each in a few words; none: it has outlived it
};

class Onlooker {
 public:
  // `own`: the name of the LUN that freezes. It may stall.
  Onlooker(const Files& files, std::string own) : files_{files}, own_{std::move(own)} {}

  // `stats`: the daemon's answer to Stats, or why there is none.
  void look(const Result<std::string>& stats);
  // Events of NETLINK_ISCSI.
  void hear(const std::vector<watch_events::Event>& events);
  std::vector<Witness> witnesses() const;

 private:
  using Key = std::pair<int, std::string>;  // rank of the kind, name
  Witness* find(const char* kind, const std::string& name);
  Witness& add(const char* kind, const std::string& name, std::string about);
  static void trouble(Witness& of, const std::string& what);
  void look_at_luns(const Result<std::string>& stats);
  void look_at_lun(const nlohmann::json& lun);
  void look_at_sysfs();
  void look_at_initiators();

  const Files& files_;
  std::string own_;
  bool first_ = true;
  std::map<Key, Witness> all_;
  std::map<std::string, nlohmann::json> before_;      // of each LUN, the first answer
  std::map<std::string, std::string> first_session_;  // of each initiator with an ACL
};

// The longest latency that `after` has and `before` has not: both are the member `latency` of an
// answer to Stats. Exact if it is the longest of all times, else the upper bound of its bucket. 0:
// nothing was answered in between.
Nanoseconds longest_between(const nlohmann::json& before, const nlohmann::json& after);

// What /dev/kmsg has of interest: the text of one record, if it is a warning or worse, or speaks of
// iSCSI and disks. nullopt: it is not.
std::optional<std::string> kernel_message(std::string_view record);

}  // namespace ballast::ctl::drill
