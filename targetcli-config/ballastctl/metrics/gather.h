// SPDX-License-Identifier: Apache-2.0
// Gathers all metrics of this machine (families.h), for `ballastctl metrics` and ballast-exporter.
//
// The two sources fail apart from each other: the plugin, which is asked through D-Bus, and the
// kernel's files. Whatever is missing, the rest is there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/machine/files.h"
#include "targetcli-config/ballastctl/metrics/families.h"

namespace ballast::ctl::metrics {

// The plugin's answers. A part whose answer did not come, or cannot be read because the plugin is
// of another version, has an error.
struct PluginAnswers {
  Result<std::string> version;
  Result<Reading> list;
  Result<Reading> stats;
  Result<Reading> logs;  // nobody is asked, and it is empty, if no LUN has a write log
};
// Blocks for no longer than `patience`.
PluginAnswers ask_plugin(Nanoseconds patience);

// What the kernel's files show. look() may block (machine/patience.h).
struct Site {
  bool has_luns = false;  // backstores of Ballast
  std::vector<Export> exports;
  std::vector<Disk> disks;
  Nanoseconds deadline{};  // that the disks' target is taken to have
};
Site look(const Files& files);

struct Gathered {
  Families families;
  std::vector<std::string> missing;  // sentences: which metrics are missing, and why
};
// `site`: nullopt if it could not be looked at in time.
Gathered gather(const PluginAnswers& plugin, const std::optional<Site>& site);

}  // namespace ballast::ctl::metrics
