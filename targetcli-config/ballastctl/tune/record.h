// SPDX-License-Identifier: Apache-2.0
// What `ballastctl tune` has changed, kept so that it can be put back: /var/lib/ballast/tune.json.
//
// It is on disk before the first change, and names things by what outlives a reboot: target, portal
// and LUN, not sda. `before` is what was there before the first tune, however often it ran since.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "targetcli-config/ballastctl/machine/files.h"

namespace ballast::ctl::tune {

inline constexpr const char* record_path = "/var/lib/ballast/tune.json";

enum class Kind {
  disk,     // an attribute of a SCSI disk or of its host: name "timeout", "max_retries", ...
  session,  // an attribute of an iSCSI session: name "recovery_tmo"
  node,     // a setting of open-iscsi's node record: name "node.session.timeo...."
  file,     // a whole file of ours: name is its path
  block,    // our block in somebody else's file: name is the file's path
};

struct Change {
  Kind kind = Kind::file;
  std::string name;
  // Of disk, session and node.
  std::string target;
  std::string portal;
  std::string interface;
  std::uint64_t lun = 0;  // of disk
  // nullopt: there was no such file or block.
  std::optional<std::string> before;
  std::optional<std::string> after;

  bool same_place(const Change& other) const {
    return kind == other.kind && name == other.name && target == other.target &&
           portal == other.portal && interface == other.interface && lun == other.lun;
  }
};

struct Record {
  std::vector<Change> changes;
  // What the udev rule gives to disks that come: those are in no Change.
  std::string rule_timeout;
  std::string rule_max_retries;

  const Change* find(const Change& like) const;
  // The same place once only: of an older one `before` is kept.
  void add(const Change& change);
};

// nullopt: there is none. The error: it cannot be read, and what to do.
Result<std::optional<Record>> load_record(const Files& files);
Result<void> save_record(const Files& files, const Record& record);
Result<void> remove_record(const Files& files);

}  // namespace ballast::ctl::tune
