// SPDX-License-Identifier: Apache-2.0
// What iscsid will use at the next login: open-iscsi's node records, through iscsiadm, and
// iscsid.conf, out of which new records are made at discovery.
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

// nullopt: there is no such record (or no iscsiadm).
Result<std::optional<NodeSettings>> node_record(const Files& files, const Node& node);
Result<void> update_node(const Files& files, const Node& node, const std::string& name,
                         const std::string& value);

// "name = value" lines, the last of a name counts (idbm_recinfo_config, open-iscsi); '#' begins a
// comment line.
NodeSettings parse_configuration(std::string_view content);

// For the model, and back. What is not there is as iscsid has it by default.
timeline::Settings timeline_settings(const NodeSettings& node);
NodeSettings node_settings(const timeline::Settings& settings);

}  // namespace ballast::ctl::tune
