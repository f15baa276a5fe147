// SPDX-License-Identifier: Apache-2.0
// Metrics for Prometheus, made of what the plugin answers (lib/watch/report.h) and of what this
// machine's kernel shows. ballastctl(8) lists them.
//
// Durations are in seconds and sizes in bytes, as Prometheus wants it. Counters begin anew when a
// LUN is opened. Pure functions; a member that is not as documented throws nlohmann's exception.
#pragma once

#include <prometheus/metric_family.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/machine/settings.h"
#include "targetcli-config/ballastctl/machine/target.h"

namespace ballast::ctl::metrics {

using Families = std::vector<prometheus::MetricFamily>;

// Whether the plugin answers, and its version; "": it does not.
Families of_plugin(const std::string& version);
// Of its LUNs: the answers to `List` and to `Stats`.
Families of_luns(const Reading& list, const Reading& stats);
// Where the target shows the LUNs.
Families of_exports(const std::vector<Export>& exports);
// How long a freeze the disks of an initiator outlive, if their target answers BUSY at `deadline`.
Families of_disks(const std::vector<Disk>& disks, Nanoseconds deadline);

}  // namespace ballast::ctl::metrics
