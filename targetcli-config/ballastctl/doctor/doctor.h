// SPDX-License-Identifier: Apache-2.0
// ballastctl doctor: checks whether this machine's settings let it outlive a frozen store. If not,
// it says which settings have to change, and to which values.
//
// The judge() functions are pure; they look at values that settings.h and target.h have read. One
// finding is about one setting. examine() blocks.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "targetcli-config/ballastctl/machine/settings.h"
#include "targetcli-config/ballastctl/machine/target.h"
#include "targetcli-config/ballastctl/machine/wanted.h"
#include "targetcli-config/ballastctl/text/table.h"

namespace ballast::ctl::doctor {

enum class Verdict { ok, change, unknown };
const char* to_string(Verdict verdict) noexcept;

struct Finding {
  std::string setting;
  std::string value;  // with its unit; empty: unknown
  Verdict verdict = Verdict::unknown;
  std::string wanted;  // with its unit; empty unless the verdict is `change`
  std::string why;     // one sentence
  std::string how;     // a command or an instruction; empty unless the verdict is `change`
};

struct DiskReport {
  Disk disk;
  std::vector<Finding> findings;
};
struct LunReport {
  TargetLun lun;
  std::vector<Finding> findings;
};
struct Report {
  Goal goal;
  std::vector<DiskReport> disks;
  std::vector<Finding> machine;  // empty if there is no disk
  bool knows_target = true;  // false: the kernel has not shown its files in time; these are empty
  std::vector<LunReport> luns;
  std::vector<Finding> windows;

  std::size_t changes() const;
  bool is_well() const { return knows_target && changes() == 0; }
};

std::vector<Finding> judge(const Disk& disk, const Goal& goal);
// What multipathd does with a disk that is a path of one of its maps.
std::vector<Finding> judge(const Disk& disk, const multipath::Daemon& daemon, const Goal& goal);
std::vector<Finding> judge(const Machine& machine, const Goal& goal);
std::vector<Finding> judge(const TargetLun& lun);
Finding judge(const CommandWindow& window);

// Looks at the disks, and, if `names` is empty, at the target. `names`: as for disks()
// (settings.h). The error says which name is none of Ballast's disks.
Result<Report> examine(const Files& files, const std::vector<std::string>& names, const Goal& goal);

std::string as_text(const Report& report, const View& view = {});
// ballastctl(8) describes the members.
nlohmann::json as_json(const Report& report);

}  // namespace ballast::ctl::doctor
