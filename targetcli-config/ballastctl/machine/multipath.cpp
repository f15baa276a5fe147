// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/machine/multipath.h"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>

#include "targetcli-config/ballastctl/machine/program.h"

namespace ballast::ctl::multipath {
namespace {

constexpr const char* multipathd = "/usr/sbin/multipathd";
constexpr const char* configuration_path = "/etc/multipath.conf";
constexpr const char* folder = "/etc/multipath/conf.d/";
constexpr std::int64_t longest_interval = 3600;

bool is_running(const Files& files) {
  const std::optional<std::string> pid = files.value("/run/multipathd.pid");
  return pid && !pid->empty() &&
         files.value("/proc/" + *pid + "/comm").value_or("") == "multipathd";
}

}  // namespace

std::optional<Map> map_of(const Files& files, const std::string& disk) {
  constexpr std::string_view prefix = "mpath-";
  for (const std::string& holder : files.list("/sys/block/" + disk + "/holders")) {
    const std::string device = "/sys/block/" + holder;
    const std::string uuid = files.value(device + "/dm/uuid").value_or("");
    if (uuid.starts_with(prefix)) {
      return Map{files.value(device + "/dm/name").value_or(holder), uuid.substr(prefix.size()),
                 files.list(device + "/slaves")};
    }
  }
  return std::nullopt;
}

Daemon daemon(const Files& files) {
  Daemon daemon;
  daemon.installed = files.exists(multipathd);
  daemon.running = is_running(files);
  if (!daemon.installed) {
    return daemon;
  }
  const Ended shown = daemon.running ? run_program(files, multipathd, {"show", "config", "local"})
                                     : run_program(files, "/usr/sbin/multipath", {"-t"});
  if (shown.status == 0) {
    daemon.configuration = parse(shown.said);
  }
  const auto add = [&](const std::string& path) {
    if (const std::optional<std::string> text = files.read(path); text && path != file_path) {
      daemon.files.emplace_back(path, parse(*text));
    }
  };
  add(configuration_path);
  for (const std::string& name : files.list(folder)) {
    if (name.ends_with(".conf")) {
      add(folder + name);
    }
  }
  return daemon;
}

Result<void> reconfigure(const Files& files) {
  if (!is_running(files)) {
    return {};
  }
  const Ended ended = run_program(files, multipathd, {"reconfigure"});
  if (ended.status != 0) {
    return Error{EIO, fmt::format("multipathd did not read its files again: it says {}; run "
                                  "multipathd reconfigure",
                                  ended.said.empty() ? "nothing" : ended.said)};
  }
  return {};
}

Nanoseconds polling_interval(const Daemon& daemon) {
  constexpr std::int64_t usual = 5;  // DEFAULT_CHECKINT, libmultipath/defaults.h
  std::optional<std::int64_t> seconds;
  if (daemon.configuration) {
    seconds = whole_number(value_for(*daemon.configuration, {}, "polling_interval").value_or(""));
  }
  return std::chrono::seconds{seconds && *seconds > 0 && *seconds <= longest_interval ? *seconds
                                                                                      : usual};
}

std::optional<std::string> in_use(const Daemon& daemon, const Identity& disk,
                                  std::string_view setting) {
  if (!daemon.configuration) {
    return std::nullopt;
  }
  if (std::optional<std::string> value = value_for(*daemon.configuration, disk, setting)) {
    return value;
  }
  if (setting == no_path_retry) {
    // The old way to say so; it counts if nothing says no_path_retry.
    const std::string features = value_for(*daemon.configuration, disk, "features").value_or("");
    return features.find("queue_if_no_path") == std::string::npos ? "fail" : "queue";
  }
  return "5";  // DEFAULT_FAST_IO_FAIL, libmultipath/defaults.h
}

Nanoseconds waits(std::string_view value, Nanoseconds interval) {
  if (value == "queue") {
    return timeline::for_ever;
  }
  const std::int64_t times = whole_number(value).value_or(0);
  if (times <= 0) {
    return Nanoseconds{};
  }
  return times > timeline::for_ever / interval ? timeline::for_ever : times * interval;
}

bool is_good(std::string_view setting, std::string_view value, Nanoseconds interval,
             const Goal& goal) {
  if (setting == no_path_retry) {
    return waits(value, interval) >= goal.survive;
  }
  const std::int64_t seconds = whole_number(value).value_or(0);
  return seconds > 0 && std::chrono::seconds{seconds} <= longest_failover;
}

std::string good_value(std::string_view setting) {
  return setting == no_path_retry ? "queue" : fmt::format("{}", whole_seconds(good_failover));
}

std::optional<Said> operator_says(const Daemon& daemon, const Identity& disk,
                                  std::string_view setting) {
  std::optional<Said> last;
  for (const auto& [path, section] : daemon.files) {
    if (std::optional<std::string> value = said_of(section, disk, setting)) {
      last = Said{path, std::move(*value)};
    }
  }
  return last;
}

}  // namespace ballast::ctl::multipath
