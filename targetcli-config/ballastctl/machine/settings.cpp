// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <set>
#include <sstream>

#include "lib/base/values.h"

namespace ballast::ctl {
namespace {

constexpr std::string_view vendor = "BALLAST";

// Returns the part of a device's path that consists of `prefix` and a number; the path is like
// ".../host2/session1/target2:0:0/...".
std::string ancestor(std::string_view device, std::string_view prefix) {
  std::istringstream parts{std::string{device}};
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.size() > prefix.size() && part.starts_with(prefix) &&
        std::all_of(part.begin() + static_cast<std::ptrdiff_t>(prefix.size()), part.end(),
                    [](unsigned char each) { return std::isdigit(each) != 0; })) {
      return part;
    }
  }
  return {};
}

Value read(const Files& files, std::string path) {
  std::optional<std::string> text = files.value(path);
  return {std::move(path), std::move(text)};
}

std::string portal_of(const Files& files, const std::string& connection) {
  const std::string address = files.value(connection + "/persistent_address").value_or("");
  const std::string port = files.value(connection + "/persistent_port").value_or("");
  return fmt::format("{0}{1}{2}:{3}", address.find(':') == std::string::npos ? "" : "[", address,
                     address.find(':') == std::string::npos ? "" : "]", port);
}

// `where`: the device's folder, with links resolved.
Disk read_disk(const Files& files, const std::string& name, const std::string& where) {
  Disk disk;
  disk.name = name;
  disk.address = where.substr(where.rfind('/') + 1);
  disk.model = files.value(where + "/model").value_or("");
  disk.lun = static_cast<std::uint64_t>(
      whole_number(disk.address.substr(disk.address.rfind(':') + 1)).value_or(0));
  disk.host = ancestor(where, "host");
  disk.session = ancestor(where, "session");
  const std::string session = "/sys/class/iscsi_session/" + disk.session;
  // Linux has one connection in a session, with the number 0.
  const std::string connection = "/sys/class/iscsi_connection/connection" +
                                 disk.session.substr(std::string_view{"session"}.size()) + ":0";
  disk.target = files.value(session + "/targetname").value_or("");
  disk.portal = portal_of(files, connection);
  disk.interface = files.value(session + "/ifacename").value_or("default");
  disk.map = multipath::map_of(files, name);
  disk.timeout = read(files, where + "/timeout");
  disk.eh_timeout = read(files, where + "/eh_timeout");
  disk.queue_depth = read(files, where + "/queue_depth");
  disk.max_retries = read(files, "/sys/class/scsi_disk/" + disk.address + "/max_retries");
  disk.write_zeroes_max_bytes = read(files, "/sys/block/" + name + "/queue/write_zeroes_max_bytes");
  disk.eh_deadline = read(files, "/sys/class/scsi_host/" + disk.host + "/eh_deadline");
  disk.replacement_timeout = read(files, session + "/recovery_tmo");
  disk.abort_timeout = read(files, session + "/abort_tmo");
  disk.lu_reset_timeout = read(files, session + "/lu_reset_tmo");
  disk.tgt_reset_timeout = read(files, session + "/tgt_reset_tmo");
  disk.noop_out_interval = read(files, connection + "/recv_tmo");
  disk.noop_out_timeout = read(files, connection + "/ping_tmo");
  return disk;
}

// The error says why the disk is none of Ballast's.
Result<Disk> examine(const Files& files, const std::string& name) {
  const std::optional<std::string> where = files.resolve("/sys/block/" + name + "/device");
  const std::string found = where ? files.value(*where + "/vendor").value_or("") : "";
  if (found.empty()) {
    return Error{ENODEV, fmt::format("{} is not a SCSI disk", config::quote(name))};
  }
  if (found != vendor) {
    return Error{ENODEV, fmt::format("{} is not a disk of Ballast: its vendor is {}, not {}", name,
                                     config::quote(found), vendor)};
  }
  if (ancestor(*where, "session").empty()) {
    return Error{ENODEV, fmt::format("{} is a disk of Ballast, but not one over iSCSI: nothing "
                                     "here applies to it",
                                     name)};
  }
  return read_disk(files, name, *where);
}

// "/dev/disk/by-path/..." -> "sda".
std::string kernel_name(const Files& files, const std::string& name) {
  const std::string path = name.starts_with('/') ? name : "/dev/" + name;
  return std::filesystem::path{files.resolve(path).value_or(path)}.filename().string();
}

Nanoseconds seconds_or(const Value& value, Nanoseconds otherwise) {
  // This is 272 years, which is enough and fits in Nanoseconds.
  constexpr std::int64_t longest = std::int64_t{1} << 33;
  const std::optional<std::int64_t> number = value.number();
  return number && *number >= 0 ? std::chrono::seconds{std::min(*number, longest)} : otherwise;
}

std::optional<std::uint64_t> available_memory(const Files& files) {
  std::istringstream lines{files.read("/proc/meminfo").value_or("")};
  for (std::string key, line; lines >> key; std::getline(lines, line)) {
    std::uint64_t kib = 0;
    if (key == "MemAvailable:" && lines >> kib) {
      return kib << 10;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<std::vector<Disk>> disks(const Files& files, const std::vector<std::string>& names) {
  std::vector<Disk> all;
  std::set<std::string> sessions_of_paths;
  for (const std::string& name : files.list("/sys/block")) {
    if (Result<Disk> disk = examine(files, name)) {
      all.push_back(std::move(disk).value());
      if (all.back().map) {
        sessions_of_paths.insert(all.back().session);
      }
    }
  }
  for (Disk& disk : all) {
    disk.paths = sessions_of_paths.contains(disk.session) ? Paths::several : Paths::one;
  }
  if (names.empty()) {
    return all;
  }
  std::vector<Disk> found;
  for (const std::string& name : names) {
    const std::string kernel = kernel_name(files, name);
    const auto known = std::ranges::find(all, kernel, &Disk::name);
    Result<Disk> disk = known == all.end() ? examine(files, kernel) : Result<Disk>{*known};
    if (!disk) {
      return disk.error();
    }
    found.push_back(std::move(disk).value());
  }
  return found;
}

Machine machine(const Files& files) {
  Machine machine;
  machine.hung_task_timeout = read(files, "/proc/sys/kernel/hung_task_timeout_secs");
  machine.hung_task_panic = read(files, "/proc/sys/kernel/hung_task_panic");
  machine.dirty_bytes = read(files, "/proc/sys/vm/dirty_bytes");
  machine.dirty_ratio = read(files, "/proc/sys/vm/dirty_ratio");
  machine.dirty_background_bytes = read(files, "/proc/sys/vm/dirty_background_bytes");
  machine.dirty_background_ratio = read(files, "/proc/sys/vm/dirty_background_ratio");
  machine.available_bytes = available_memory(files);
  return machine;
}

multipath::Identity identity_of(const Disk& disk) {
  return {std::string{vendor}, disk.model, disk.map ? disk.map->wwid : std::string{}};
}

timeline::Settings timeline_settings(const Disk& disk) {
  timeline::Settings settings;
  settings.timeout = seconds_or(disk.timeout, settings.timeout);
  settings.eh_timeout = seconds_or(disk.eh_timeout, settings.eh_timeout);
  if (disk.eh_deadline.number().value_or(-1) >= 0) {  // otherwise "off"
    settings.eh_deadline = seconds_or(disk.eh_deadline, Nanoseconds{});
  }
  const std::int64_t retries = disk.max_retries.number().value_or(settings.max_retries);
  settings.max_retries = static_cast<int>(std::clamp<std::int64_t>(retries, -1, 1 << 20));
  settings.abort_timeout = seconds_or(disk.abort_timeout, settings.abort_timeout);
  settings.lu_reset_timeout = seconds_or(disk.lu_reset_timeout, settings.lu_reset_timeout);
  settings.tgt_reset_timeout = seconds_or(disk.tgt_reset_timeout, settings.tgt_reset_timeout);
  if (disk.replacement_timeout.number().value_or(0) < 0 || disk.replacement_timeout.text == "off") {
    settings.replacement_timeout.reset();
  } else {
    settings.replacement_timeout =
        seconds_or(disk.replacement_timeout, *settings.replacement_timeout);
  }
  settings.noop_out_interval = seconds_or(disk.noop_out_interval, settings.noop_out_interval);
  settings.noop_out_timeout = seconds_or(disk.noop_out_timeout, settings.noop_out_timeout);
  return settings;
}

}  // namespace ballast::ctl
