// SPDX-License-Identifier: Apache-2.0
// Metrics for Prometheus, made of what the plugin answers (ballast-json(5)) and of what this
// machine's kernel shows. ballastctl(8) lists them.
//
// Durations are in seconds and sizes in bytes, as Prometheus wants it. Counters begin anew when a
// LUN is opened. Pure functions; a member that is not as documented throws nlohmann's exception.
#pragma once

#include <prometheus/metric_family.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/machine/settings.h"
#include "targetcli-config/ballastctl/machine/target.h"

namespace ballast::ctl::metrics {

using Families = std::vector<prometheus::MetricFamily>;

// Both versions, and, of a target, whether the plugin answers. `plugin`: its version; "": it does
// not answer.
Families of_versions(const std::string& plugin, const char* tool, bool is_target);
// What is missing in the others: a part, and whether it is.
Families of_missing(const std::vector<std::pair<const char*, bool>>& parts);
// Of the plugin's LUNs: the answers to `List`, to `Stats`, and to `Log`.
Families of_luns(const Reading& list);
Families of_stats(const Reading& stats);
Families of_logs(const Reading& logs);
// Where the target shows the LUNs.
Families of_exports(const std::vector<Export>& exports);
// How long a freeze the disks of an initiator outlive, if their target answers BUSY at `deadline`.
Families of_disks(const std::vector<Disk>& disks, Nanoseconds deadline);

// In the text format of Prometheus.
std::string as_text(const Families& families);

}  // namespace ballast::ctl::metrics
