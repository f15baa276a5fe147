// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/target.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "lib/base/limits.h"
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

TargetLun read_lun(const Files& files, const std::string& name, const std::string& folder,
                   std::string configuration) {
  TargetLun lun;
  lun.name = name;
  lun.configuration = std::move(configuration);
  lun.limits = config::limits_of(lun.configuration);
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

void count(CommandWindow& window, const std::vector<TargetLun>& luns, const std::string& name) {
  const auto found = std::find_if(luns.begin(), luns.end(),
                                  [&](const TargetLun& lun) { return lun.name == name; });
  if (found != luns.end()) {
    window.luns++;
    window.sharing += found->limits.stall_window == 0 ? 1U : 0U;
    window.stalled_share += found->limits.stall_window;
  }
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

void add_windows(const Files& files, const std::vector<TargetLun>& luns, const std::string& target,
                 const std::string& group, std::vector<CommandWindow>& windows) {
  for (const std::string& initiator : files.list(group + "/acls")) {
    const std::string folder = group + "/acls/" + initiator;
    CommandWindow window{target, initiator, read(files, folder + "/cmdsn_depth")};
    for (const std::string& entry : files.list(folder)) {
      if (entry.starts_with("lun_")) {
        count(window, luns, mapped_backstore(files, folder + "/" + entry));
      }
    }
    windows.push_back(std::move(window));
  }
  if (files.value(group + "/attrib/generate_node_acls") == "1") {
    CommandWindow window{target, "", read(files, group + "/attrib/default_cmdsn_depth")};
    for (const std::string& entry : files.list(group + "/lun")) {
      count(window, luns, backstore_of(files, group + "/lun/" + entry));
    }
    windows.push_back(std::move(window));
  }
}

}  // namespace

std::vector<TargetLun> target_luns(const Files& files) {
  std::vector<TargetLun> luns;
  const std::string core = std::string{configfs} + "/core";
  for (const std::string& hba : files.list(core)) {
    if (!hba.starts_with("user_")) {
      continue;
    }
    for (const std::string& name : files.list(core + "/" + hba)) {
      const std::string folder = core + "/" + hba + "/" + name;
      const std::string text = files.value(folder + "/attrib/dev_config").value_or("");
      if (text.starts_with(prefix)) {
        luns.push_back(read_lun(files, name, folder, text.substr(prefix.size())));
      }
    }
  }
  return luns;
}

std::vector<CommandWindow> command_windows(const Files& files, const std::vector<TargetLun>& luns) {
  std::vector<CommandWindow> windows;
  const std::string iscsi = std::string{configfs} + "/iscsi";
  for (const std::string& target : files.list(iscsi)) {
    for (const std::string& group : files.list(iscsi + "/" + target)) {
      if (group.starts_with("tpgt_")) {
        add_windows(files, luns, target, iscsi + "/" + target + "/" + group, windows);
      }
    }
  }
  for (CommandWindow& window : windows) {
    if (window.sharing > 0) {
      window.stalled_share += std::max<std::uint64_t>(scsi::StalledLuns::room, window.sharing);
    }
  }
  std::erase_if(windows, [](const CommandWindow& window) { return window.luns == 0; });
  return windows;
}

}  // namespace ballast::ctl
