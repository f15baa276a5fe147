// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/tune/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>
#include <utility>

#include "targetcli-config/ballastctl/machine/program.h"
#include "targetcli-config/ballastctl/machine/wanted.h"

namespace ballast::ctl::tune {
namespace {

using timeline::Settings;

constexpr const char* replacement = "node.session.timeo.replacement_timeout";
constexpr std::array<std::pair<const char*, Nanoseconds Settings::*>, 5> times{{
    {"node.session.err_timeo.abort_timeout", &Settings::abort_timeout},
    {"node.session.err_timeo.lu_reset_timeout", &Settings::lu_reset_timeout},
    {"node.session.err_timeo.tgt_reset_timeout", &Settings::tgt_reset_timeout},
    {"node.conn[0].timeo.noop_out_interval", &Settings::noop_out_interval},
    {"node.conn[0].timeo.noop_out_timeout", &Settings::noop_out_timeout},
}};
constexpr int no_record = 21;  // ISCSI_ERR_NO_OBJS_FOUND, open-iscsi include/iscsi_err.h

Ended iscsiadm(const Files& files, std::vector<std::string> arguments) {
  return run_program(files, "/usr/sbin/iscsiadm", std::move(arguments));
}

std::vector<std::string> words_for(const Node& node) {
  return {"-m", "node", "-T", node.target, "-p", node.portal, "-I", node.interface};
}

Error failure(const Node& node, std::string_view what, const Ended& ended) {
  const std::string said = ended.said.substr(0, ended.said.find('\n'));
  return {EIO, fmt::format("the node record of {} at {} cannot be {}: iscsiadm ends with {}: {}",
                           node.target, node.portal, what, ended.status, said)};
}

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  return begin == std::string_view::npos
             ? std::string{}
             : std::string{text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1)};
}

}  // namespace

Result<std::optional<NodeSettings>> node_record(const Files& files, const Node& node) {
  std::vector<std::string> words = words_for(node);
  words.insert(words.end(), {"-o", "show"});
  const Ended ended = iscsiadm(files, std::move(words));
  if (ended.status == no_record || ended.status == Ended::not_started) {
    return std::optional<NodeSettings>{};
  }
  if (ended.status != 0) {
    return failure(node, "read", ended);
  }
  return std::optional{parse_configuration(ended.said)};
}

Result<void> update_node(const Files& files, const Node& node, const std::string& name,
                         const std::string& value) {
  std::vector<std::string> words = words_for(node);
  words.insert(words.end(), {"-o", "update", "-n", name, "-v", value});
  const Ended ended = iscsiadm(files, std::move(words));
  if (ended.status != 0) {
    return failure(node, fmt::format("given {} = {}", name, value), ended);
  }
  return {};
}

NodeSettings parse_configuration(std::string_view content) {
  NodeSettings settings;
  std::istringstream lines{std::string{content}};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    const std::string name = trimmed(std::string_view{line}.substr(0, equals));
    if (equals != std::string::npos && !name.empty() && name.front() != '#') {
      settings[name] = trimmed(std::string_view{line}.substr(equals + 1));
    }
  }
  return settings;
}

Settings timeline_settings(const NodeSettings& node) {
  Settings settings;
  const auto number = [&](const char* name) {
    const auto found = node.find(name);
    return found == node.end() ? std::nullopt : whole_number(found->second);
  };
  // At most 272 years, which fits in Nanoseconds.
  const auto time = [](std::int64_t value) {
    return std::chrono::seconds{std::clamp<std::int64_t>(value, 0, std::int64_t{1} << 33)};
  };
  for (const auto& [name, member] : times) {
    if (const auto value = number(name)) {
      settings.*member = time(*value);
    }
  }
  if (const auto value = number(replacement)) {
    settings.replacement_timeout =
        *value < 0 ? std::nullopt : std::optional<Nanoseconds>{time(*value)};
  }
  return settings;
}

NodeSettings node_settings(const Settings& settings) {
  NodeSettings node;
  for (const auto& [name, member] : times) {
    node[name] = fmt::format("{}", whole_seconds(settings.*member));
  }
  node[replacement] = settings.replacement_timeout
                          ? fmt::format("{}", whole_seconds(*settings.replacement_timeout))
                          : "-1";
  return node;
}

}  // namespace ballast::ctl::tune
