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
constexpr std::string_view prefix = "ballast/";

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

std::string iscsi_folder(const Export& of) {
  return fmt::format("{}/iscsi/{}/{}{}", configfs, of.target, group_prefix, of.portal_group);
}

// Adds the LUNs of one portal group. `place` says which.
void add_exports(const Files& files, const std::vector<TargetLun>& luns, Export place,
                 std::vector<Export>& all) {
  const std::string group = iscsi_folder(place);
  const auto add = [&](const std::string& entry, const std::string& backstore) {
    const bool ours =
        std::ranges::any_of(luns, [&](const TargetLun& lun) { return lun.name == backstore; });
    if (ours) {
      place.backstore = backstore;
      place.number = entry.substr(lun_prefix.size());
      all.push_back(place);
    }
  };
  for (const std::string& initiator : files.list(group + "/acls")) {
    const std::string folder = group + "/acls/" + initiator;
    place.initiator = initiator;
    for (const std::string& entry : files.list(folder)) {
      if (entry.starts_with(lun_prefix)) {
        add(entry, mapped_backstore(files, folder + "/" + entry));
      }
    }
  }
  if (files.value(group + "/attrib/generate_node_acls") == "1") {
    place.initiator.clear();
    for (const std::string& entry : files.list(group + "/lun")) {
      if (entry.starts_with(lun_prefix)) {
        add(entry, backstore_of(files, group + "/lun/" + entry));
      }
    }
  }
}

CommandWindow window_of(const Files& files, const Export& place) {
  const std::string group = iscsi_folder(place);
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
      if (text.starts_with(prefix)) {
        luns.push_back(read_lun(files, name, folder, text.substr(prefix.size()), shared));
      }
    }
  }
  return luns;
}

std::vector<Export> exports(const Files& files, const std::vector<TargetLun>& luns) {
  std::vector<Export> all;
  const std::string iscsi = std::string{configfs} + "/iscsi";
  for (const std::string& target : files.list(iscsi)) {
    for (const std::string& group : files.list(iscsi + "/" + target)) {
      if (group.starts_with(group_prefix)) {
        add_exports(files, luns, {"", target, group.substr(group_prefix.size()), "", ""}, all);
      }
    }
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
