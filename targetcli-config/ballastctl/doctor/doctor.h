// SPDX-License-Identifier: Apache-2.0
// ballastctl doctor: is this machine set so that it outlives a frozen store, and if not, what has
// to change to what?
//
// Judging is pure; it looks at what settings.h and settings_target.h have read. One finding is one
// setting.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "targetcli-config/ballastctl/machine/settings.h"
#include "targetcli-config/ballastctl/machine/target.h"
#include "targetcli-config/ballastctl/machine/wanted.h"

namespace ballast::ctl::doctor {

enum class Verdict { ok, change, unknown };
const char* to_string(Verdict verdict) noexcept;

struct Finding {
  std::string setting;
  std::string value;  // with its unit; empty: unknown
  Verdict verdict = Verdict::unknown;
  std::string wanted;  // with its unit; empty unless the verdict is `change`
  std::string why;     // one sentence
  std::string how;     // a command, or what to do; empty unless the verdict is `change`
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
  std::vector<Finding> machine;  // empty where there is no disk
  std::vector<LunReport> luns;
  std::vector<Finding> windows;

  std::size_t changes() const;
};

std::vector<Finding> judge(const Disk& disk, const Goal& goal);
std::vector<Finding> judge(const Machine& machine, const Goal& goal);
std::vector<Finding> judge(const TargetLun& lun);
Finding judge(const CommandWindow& window);

// `names` as for disks(); with names, the target is left out.
Result<Report> examine(const Files& files, const std::vector<std::string>& names, const Goal& goal);

std::string as_text(const Report& report);
// ballastctl(8) has the members.
nlohmann::json as_json(const Report& report);

}  // namespace ballast::ctl::doctor
