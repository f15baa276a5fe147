// SPDX-License-Identifier: Apache-2.0
// The record of all that `ballastctl tune` has changed, so that it can be undone:
// /var/lib/ballast/tune.json.
//
// The record is on disk before the first change. It names things by properties that outlive a
// reboot: target, portal and LUN, not sda. `before` is the value before the first tune, however
// often tune ran since. Blocks; single-threaded.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "targetcli-config/ballastctl/machine/files.h"
#include "targetcli-config/ballastctl/machine/wanted.h"

namespace ballast::ctl::tune {

inline constexpr const char* record_path = "/var/lib/ballast/tune.json";

enum class Kind {
  disk,     // an attribute of a SCSI disk or of its host: name "timeout", "max_retries", ...
  session,  // an attribute of an iSCSI session: name "recovery_tmo"
  node,     // a setting of open-iscsi's node record: name "node.session.timeo...."
  file,     // a whole file of Ballast: name is its path
  block,    // a block of Ballast in another program's file: name is the file's path
};

// The words for them in the record, and in what tune prints as JSON.
std::string_view name_of(Kind kind);
// The text; null for nullopt.
nlohmann::json text_or_null(const std::optional<std::string>& text);

struct Change {
  Kind kind = Kind::file;
  std::string name;
  // For disk, session and node:
  std::string target;
  std::string portal;
  std::string interface;
  std::uint64_t lun = 0;  // for disk
  // The value before and after; nullopt: no such file or block.
  std::optional<std::string> before;
  std::optional<std::string> after;

  bool same_place(const Change& other) const {
    return kind == other.kind && name == other.name && target == other.target &&
           portal == other.portal && interface == other.interface && lun == other.lun;
  }
};

struct Record {
  std::vector<Change> changes;
  // The values that the udev rule gives to disks that come later. No Change has them.
  std::string rule_timeout;
  std::string rule_max_retries;
  // What this machine was last tuned for. An old ballastctl has not recorded it.
  std::optional<Goal> goal;

  // Returns the change of the same place; null if there is none.
  const Change* find(const Change& like) const;
  // Adds a change. It replaces an older one of the same place, but keeps the older `before`.
  void add(const Change& change);
};

// nullopt: there is no record. The error says why it cannot be read, and what to do.
Result<std::optional<Record>> load_record(const Files& files);
Result<void> save_record(const Files& files, const Record& record);
Result<void> remove_record(const Files& files);
// What this machine was last tuned for. If that is not known, the usual goal.
Goal recorded_goal(const Files& files);

}  // namespace ballast::ctl::tune
