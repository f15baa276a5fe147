// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/inventory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "lib/base/saved_configuration.h"
#include "lib/lun/config.h"

namespace ballast::ctl {
namespace {

using nlohmann::json;

// rtslib writes the members in the same form as dump() (rtslib/target.py, tcm.py).
const json& array_of(const json& object, const char* member) {
  static const json none = json::array();
  const auto found = object.find(member);
  return found == object.end() ? none : *found;
}

std::string number_of(const json& object, const char* member) {
  return fmt::format("{}", object.at(member).get<std::uint64_t>());
}

void add_group(const json& group, const std::string& target, Inventory& all) {
  constexpr std::string_view user = "/backstores/user/";
  const std::string tag = number_of(group, "tag");
  std::map<std::string, std::string> backstores;  // by the LUN's number
  for (const json& lun : array_of(group, "luns")) {
    const auto path = lun.at("storage_object").get<std::string>();
    if (path.starts_with(user) && all.backstores.contains(path.substr(user.size()))) {
      const std::string number = number_of(lun, "index");
      backstores[number] = path.substr(user.size());
      all.luns.insert({backstores[number], target, tag, number});
    }
  }
  if (!backstores.empty() && group.value("enable", false)) {
    for (const json& portal : array_of(group, "portals")) {
      const auto host = portal.at("ip_address").get<std::string>();
      const bool bare = host.find(':') != std::string::npos && !host.starts_with('[');
      all.portals.insert(
          {target, tag,
           fmt::format("{}:{}", bare ? "[" + host + "]" : host, number_of(portal, "port"))});
    }
  }
  for (const json& acl : array_of(group, "node_acls")) {
    for (const json& mapped : array_of(acl, "mapped_luns")) {
      if (const auto found = backstores.find(number_of(mapped, "tpg_lun"));
          found != backstores.end()) {
        all.mapped.insert({found->second, target, tag, number_of(mapped, "index"),
                           acl.at("node_wwn").get<std::string>()});
      }
    }
  }
}

Inventory read_saved(const json& document) {
  Inventory all;
  for (const json& store : array_of(document, "storage_objects")) {
    const std::string configuration = store.value("config", "");
    if (store.at("plugin") == "user" && configuration.starts_with(lun::daemon_prefix)) {
      all.backstores[store.at("name")] = configuration.substr(lun::daemon_prefix.size());
    }
  }
  for (const json& target : array_of(document, "targets")) {
    if (target.at("fabric") == "iscsi") {
      for (const json& group : array_of(target, "tpgs")) {
        add_group(group, target.at("wwn"), all);
      }
    }
  }
  return all;
}

}  // namespace

Inventory inventory_now(const Files& files) {
  Inventory all;
  const std::vector<TargetLun> luns = target_luns(files);
  for (const TargetLun& lun : luns) {
    all.backstores[lun.name] = lun.configuration;
  }
  for (const PortalLun& lun : portal_luns(files, luns)) {
    all.luns.insert(lun);
  }
  for (const Portal& portal : portals(files, luns)) {
    all.portals.insert(portal);
  }
  for (const Export& each : exports(files, luns)) {
    if (!each.initiator.empty()) {
      all.mapped.insert(each);
    }
  }
  return all;
}

Result<std::optional<Saved>> inventory_saved(const Files& files) {
  const auto found = std::ranges::find_if(saved_configuration_files,
                                          [&](const char* path) { return files.exists(path); });
  if (found == saved_configuration_files.end()) {
    return std::optional<Saved>{};
  }
  const std::string path = *found;
  const std::optional<std::string> text = files.read(path);
  if (!text) {
    return Error{EACCES, fmt::format("{} cannot be read: run it as root", path)};
  }
  // What parse() throws has all that was read of the wrong value, whatever bytes that were.
  json document;
  try {
    document = json::parse(*text);
  } catch (const json::parse_error& error) {
    return Error{EINVAL,
                 fmt::format("{} is not JSON: it is wrong, or ends, at byte {}", path, error.byte)};
  } catch (const json::out_of_range&) {
    return Error{EINVAL,
                 fmt::format("{} is not what targetcli saves: a number in it is too large", path)};
  }
  if (!document.is_object()) {
    return Error{EINVAL, fmt::format("{} is not what targetcli saves: it is of type {}, not object",
                                     path, document.type_name())};
  }
  try {
    return std::optional{Saved{path, read_saved(document)}};
  } catch (const json::exception& error) {
    return Error{EINVAL, fmt::format("{} is not what targetcli saves: {}", path, error.what())};
  }
}

}  // namespace ballast::ctl
