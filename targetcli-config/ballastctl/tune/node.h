// SPDX-License-Identifier: Apache-2.0
// The settings that iscsid will use at the next login: open-iscsi's node records, which iscsiadm
// shows and changes, and iscsid.conf, from which discovery makes new records. Blocks;
// single-threaded.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"
#include "targetcli-config/ballastctl/machine/files.h"
#include "targetcli-config/ballastctl/machine/timeline.h"

namespace ballast::ctl::tune {

inline constexpr const char* configuration_path = "/etc/iscsi/iscsid.conf";

using NodeSettings = std::map<std::string, std::string>;  // by name, as iscsiadm shows them

struct Node {
  std::string target;
  std::string portal;
  std::string interface;
};

// nullopt: there is no such record, or no iscsiadm.
Result<std::optional<NodeSettings>> node_record(const Files& files, const Node& node);
Result<void> update_node(const Files& files, const Node& node, const std::string& name,
                         const std::string& value);

// Parses lines of the form "name = value". If a name comes more than once, the last one counts
// (idbm_recinfo_config, open-iscsi). '#' begins a comment line.
NodeSettings parse_configuration(std::string_view content);

// Converts to the settings of timeline.h and back. A setting that is missing has iscsid's default.
timeline::Settings timeline_settings(const NodeSettings& node);
NodeSettings node_settings(const timeline::Settings& settings);

}  // namespace ballast::ctl::tune
