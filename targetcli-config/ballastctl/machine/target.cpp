// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "lib/base/limits.h"
#include "lib/lun/config.h"
#include "lib/scsi/stalled_luns.h"

namespace ballast::ctl {
namespace {

constexpr const char* configfs = "/sys/kernel/config/target";

Value read(const Files& files, std::string path) {
  std::optional<std::string> text = files.value(path);
  return {std::move(path), std::move(text)};
}

// Returns the block device that the configuration string names; empty if it names none.
std::string block_device(const Files& files, std::string_view configuration) {
  std::string_view path = configuration.substr(0, configuration.find(';'));
  for (const std::string_view scheme : {"file:", "file="}) {
    if (path.starts_with(scheme)) {
      path.remove_prefix(scheme.size());
    }
  }
  if (!path.starts_with("/dev/")) {
    return {};
  }
  const std::string bare{path};
  return std::filesystem::path{files.resolve(bare).value_or(bare)}.filename().string();
}

// A partition has no link to the SCSI device; its folder is inside the folder of its disk, which
// has it.
Value backend_timeout(const Files& files, const std::string& device) {
  if (device.empty()) {
    return {};
  }
  const std::string where = files.resolve("/sys/class/block/" + device).value_or("");
  for (const std::string& folder : {where, where.substr(0, where.rfind('/'))}) {
    if (Value found = read(files, folder + "/device/timeout"); found.text) {
      return found;
    }
  }
  return {};
}

// If the whole configuration cannot be parsed, the string alone must do.
config::Limits limits_of(const std::string& configuration, const Result<lun::Profiles>& profiles) {
  if (profiles) {
    if (Result<lun::LunConfig> whole = lun::parse(configuration, profiles.value()); whole) {
      return std::move(whole).value();
    }
  }
  return config::limits_of(configuration);
}

TargetLun read_lun(const Files& files, const std::string& name, const std::string& folder,
                   std::string configuration, const Result<lun::Profiles>& profiles) {
  TargetLun lun;
  lun.name = name;
  lun.folder = folder;
  lun.configuration = std::move(configuration);
  lun.limits = limits_of(lun.configuration, profiles);
  const std::string attributes = folder + "/attrib";
  lun.cmd_time_out = read(files, attributes + "/cmd_time_out");
  lun.hw_max_sectors = read(files, attributes + "/hw_max_sectors");
  lun.hw_block_size = read(files, attributes + "/hw_block_size");
  lun.max_data_area_mb = read(files, attributes + "/max_data_area_mb");
  lun.backend_timeout = backend_timeout(files, block_device(files, lun.configuration));
  return lun;
}

// Returns the backstore that a LUN of a portal group leads to: the last part of the link.
std::string backstore_of(const Files& files, const std::string& lun) {
  for (const std::string& entry : files.list(lun)) {
    const std::string where = files.resolve(lun + "/" + entry).value_or("");
    if (where.find("/core/user_") != std::string::npos) {
      return where.substr(where.rfind('/') + 1);
    }
  }
  return {};
}

// An ACL's lun_N holds a link to the portal group's lun_M.
std::string mapped_backstore(const Files& files, const std::string& mapped) {
  for (const std::string& entry : files.list(mapped)) {
    const std::string where = files.resolve(mapped + "/" + entry).value_or("");
    if (where.find("/lun/lun_") != std::string::npos) {
      return backstore_of(files, where);
    }
  }
  return {};
}

constexpr std::string_view lun_prefix = "lun_";
constexpr std::string_view group_prefix = "tpgt_";

std::string iscsi_folder(const std::string& target, const std::string& portal_group) {
  return fmt::format("{}/iscsi/{}/{}{}", configfs, target, group_prefix, portal_group);
}

struct PortalGroup {
  std::string target;
  std::string number;
};

std::vector<PortalGroup> portal_groups(const Files& files) {
  std::vector<PortalGroup> all;
  const std::string iscsi = std::string{configfs} + "/iscsi";
  for (const std::string& target : files.list(iscsi)) {
    for (const std::string& group : files.list(iscsi + "/" + target)) {
      if (group.starts_with(group_prefix)) {
        all.push_back({target, group.substr(group_prefix.size())});
      }
    }
  }
  return all;
}

bool is_ours(const std::vector<TargetLun>& luns, const std::string& backstore) {
  return std::ranges::any_of(luns, [&](const TargetLun& lun) { return lun.name == backstore; });
}

// Adds what initiators see of one portal group. `place` says which; `open` are its LUNs that need
// no ACL.
void add_exports(const Files& files, const std::vector<TargetLun>& luns, Export place,
                 const std::vector<PortalLun>& open, std::vector<Export>& all) {
  const std::string acls = iscsi_folder(place.target, place.portal_group) + "/acls";
  for (const std::string& initiator : files.list(acls)) {
    const std::string folder = acls + "/" + initiator;
    place.initiator = initiator;
    for (const std::string& entry : files.list(folder)) {
      if (!entry.starts_with(lun_prefix)) {
        continue;
      }
      place.backstore = mapped_backstore(files, folder + "/" + entry);
      place.number = entry.substr(lun_prefix.size());
      if (is_ours(luns, place.backstore)) {
        all.push_back(place);
      }
    }
  }
  for (const PortalLun& lun : open) {
    all.push_back({lun.backstore, lun.target, lun.portal_group, lun.number, ""});
  }
}

std::vector<PortalLun> luns_of(const Files& files, const std::vector<TargetLun>& luns,
                               const PortalGroup& group) {
  std::vector<PortalLun> all;
  const std::string folder = iscsi_folder(group.target, group.number) + "/lun";
  for (const std::string& entry : files.list(folder)) {
    if (!entry.starts_with(lun_prefix)) {
      continue;
    }
    const std::string backstore = backstore_of(files, folder + "/" + entry);
    if (is_ours(luns, backstore)) {
      all.push_back({backstore, group.target, group.number, entry.substr(lun_prefix.size())});
    }
  }
  return all;
}

CommandWindow window_of(const Files& files, const Export& place) {
  const std::string group = iscsi_folder(place.target, place.portal_group);
  return {
      place.target, place.initiator,
      read(files, place.initiator.empty() ? group + "/attrib/default_cmdsn_depth"
                                          : group + "/acls/" + place.initiator + "/cmdsn_depth")};
}

bool shares_window(const Export& a, const Export& b) {
  return a.target == b.target && a.portal_group == b.portal_group && a.initiator == b.initiator;
}

}  // namespace

Result<lun::Profiles> profiles(const Files& files) {
  return lun::Profiles::read(files.real(lun::Profiles::usual_path()));
}

std::vector<TargetLun> target_luns(const Files& files) {
  std::vector<TargetLun> luns;
  const Result<lun::Profiles> shared = profiles(files);
  const std::string core = std::string{configfs} + "/core";
  for (const std::string& hba : files.list(core)) {
    if (!hba.starts_with("user_")) {
      continue;
    }
    for (const std::string& name : files.list(core + "/" + hba)) {
      const std::string folder = core + "/" + hba + "/" + name;
      const std::string text = files.value(folder + "/attrib/dev_config").value_or("");
      if (text.starts_with(lun::daemon_prefix)) {
        luns.push_back(
            read_lun(files, name, folder, text.substr(lun::daemon_prefix.size()), shared));
      }
    }
  }
  return luns;
}

std::vector<PortalLun> portal_luns(const Files& files, const std::vector<TargetLun>& luns) {
  std::vector<PortalLun> all;
  for (const PortalGroup& group : portal_groups(files)) {
    const std::vector<PortalLun> its = luns_of(files, luns, group);
    all.insert(all.end(), its.begin(), its.end());
  }
  return all;
}

std::vector<Portal> portals(const Files& files, const std::vector<TargetLun>& luns) {
  std::vector<Portal> all;
  for (const PortalGroup& group : portal_groups(files)) {
    const std::string folder = iscsi_folder(group.target, group.number);
    if (files.value(folder + "/enable") != "1" || luns_of(files, luns, group).empty()) {
      continue;
    }
    for (const std::string& address : files.list(folder + "/np")) {
      all.push_back({group.target, group.number, address});
    }
  }
  return all;
}

std::vector<Export> exports(const Files& files, const std::vector<TargetLun>& luns) {
  std::vector<Export> all;
  for (const PortalGroup& group : portal_groups(files)) {
    const std::string folder = iscsi_folder(group.target, group.number);
    const bool needs_acl = files.value(folder + "/attrib/generate_node_acls") != "1";
    add_exports(files, luns, {"", group.target, group.number, "", ""},
                needs_acl ? std::vector<PortalLun>{} : luns_of(files, luns, group), all);
  }
  return all;
}

std::vector<CommandWindow> command_windows(const Files& files, const std::vector<TargetLun>& luns) {
  std::vector<CommandWindow> windows;
  const Export* before = nullptr;
  const std::vector<Export> all = exports(files, luns);
  for (const Export& each : all) {
    if (before == nullptr || !shares_window(*before, each)) {
      windows.push_back(window_of(files, each));
    }
    before = &each;
    const auto lun = std::ranges::find_if(
        luns, [&](const TargetLun& its) { return its.name == each.backstore; });
    CommandWindow& window = windows.back();
    window.luns++;
    window.sharing += lun->limits.stall_window == 0 ? 1U : 0U;
    window.stalled_share += lun->limits.stall_window;
  }
  for (CommandWindow& window : windows) {
    if (window.sharing > 0) {
      window.stalled_share += std::max<std::uint64_t>(scsi::StalledLuns::room, window.sharing);
    }
  }
  return windows;
}

}  // namespace ballast::ctl
