// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "lib/base/saved_configuration.h"
#include "lib/base/version.h"
#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/machine/settings.h"
#include "targetcli-config/ballastctl/report/report.h"
#include "targetcli-config/ballastctl/report/secrets.h"
#include "targetcli-config/ballastctl/report/walk.h"

namespace ballast::ctl::report {
namespace {

Result<std::string> versions(const Files& files) {
  utsname kernel{};
  ::uname(&kernel);
  const Result<std::string> plugin = plugin_version();
  std::string system = files.read("/etc/os-release").value_or("");
  system.resize(std::min(system.size(), system.find('\n')));
  return fmt::format("ballastctl {}\nhandler_ballast.so {}\nkernel {} {} {}\n{}\n", version,
                     plugin.ok() ? plugin.value() : "does not answer: " + plugin.error().message,
                     kernel.release, kernel.version, kernel.machine, system);
}

Result<std::string> saved_configuration(const Files& files) {
  for (const char* const path : saved_configuration_files) {
    const std::optional<std::string> text = files.read(path);
    if (!text && files.exists(path)) {
      return Error{EACCES, fmt::format("{} cannot be read: run it as root", path)};
    }
    if (!text) {
      continue;
    }
    auto json = nlohmann::ordered_json::parse(*text, nullptr, false);
    if (json.is_discarded()) {
      return Error{EINVAL, fmt::format("{} is not JSON", path)};
    }
    const std::size_t removed = remove_secrets(json);
    return fmt::format(
        "{}\n",
        nlohmann::ordered_json{
            {"file", path}, {"members_removed", removed}, {"content", std::move(json)}}
            .dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  }
  return Error{ENOENT, "there is no saveconfig.json"};
}

// An attribute a line. Not statistics, of which there are many.
Result<std::string> configfs(const Files& files) {
  std::string text;
  for (const char* const folder :
       {"/sys/kernel/config/target/core", "/sys/kernel/config/target/iscsi"}) {
    walk(
        files, folder,
        [](const std::string& name) { return !is_folder_of_secrets(name) && name != "statistics"; },
        [&](const std::string& path, const std::string& name) {
          const std::optional<std::string> value =
              is_secret(name) ? std::nullopt : files.value(path);
          text += value ? fmt::format("{} = {}\n", path, *value) : "";
        });
  }
  if (text.empty()) {
    return Error{ENOENT, "no target is configured, or this user may not see it"};
  }
  return text;
}

Result<std::string> timeouts(const Files& files) {
  std::string text;
  const auto add = [&text](std::initializer_list<const Value*> values) {
    for (const Value* const value : values) {
      text += fmt::format("{} = {}\n", value->path, value->text.value_or("not there"));
    }
  };
  const Result<std::vector<Disk>> all = disks(files, {});
  for (const Disk& disk : all.ok() ? all.value() : std::vector<Disk>{}) {
    text += fmt::format("{}: {} {} of {} at {}\n", disk.name, disk.address, disk.model, disk.target,
                        disk.portal);
    add({&disk.timeout, &disk.eh_timeout, &disk.max_retries, &disk.queue_depth, &disk.eh_deadline,
         &disk.replacement_timeout, &disk.abort_timeout, &disk.lu_reset_timeout,
         &disk.tgt_reset_timeout, &disk.noop_out_interval, &disk.noop_out_timeout});
  }
  const Machine rest = machine(files);
  add({&rest.hung_task_timeout, &rest.hung_task_panic, &rest.dirty_bytes, &rest.dirty_ratio,
       &rest.dirty_background_bytes, &rest.dirty_background_ratio});
  return text;
}

// Not in a bundle: the program that makes it blots these out.
Result<std::string> passwords(const Files& files) {
  return nlohmann::json(passwords_of(files))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

struct OwnPart {
  const char* name;
  Result<std::string> (*make)(const Files& files);
};
constexpr std::array own{OwnPart{"versions", versions}, OwnPart{"saved", saved_configuration},
                         OwnPart{"configfs", configfs}, OwnPart{"timeouts", timeouts},
                         OwnPart{"passwords", passwords}};

}  // namespace

Result<std::string> own_part(const Files& files, const std::string& name) {
  const auto found =
      std::ranges::find_if(own, [&](const OwnPart& part) { return part.name == name; });
  return found == own.end() ? Error{EINVAL, "there is no part " + name} : found->make(files);
}

std::vector<std::string> own_parts() {
  std::vector<std::string> names;
  for (const OwnPart& part : own) {
    names.emplace_back(part.name);
  }
  return names;
}

const std::vector<Part>& parts() {
  static const std::vector<Part> all{
      {"versions.txt", {"ballastctl", "report", "--part", "versions"}},
      {"list.json", {"ballastctl", "list", "--json"}},
      {"inflight.json", {"ballastctl", "inflight", "--json"}},
      {"slow.json", {"ballastctl", "slow", "--json"}},
      {"stats.json", {"ballastctl", "stats", "--json"}},
      {"tasks.json", {"ballastctl", "tasks", "--json"}},
      {"config.json", {"ballastctl", "config", "--json"}},
      {"check.json", {"ballastctl", "check", "--json"}},
      {"doctor.json", {"ballastctl", "doctor", "--json"}},
      {"metrics.prom", {"ballastctl", "metrics"}},
      {"incidents.json", {"ballastctl", "history", "--json"}},
      {"kmod.json", {"ballast-kmod", "check", "--json"}},
      {"saveconfig.json", {"ballastctl", "report", "--part", "saved"}},
      {"configfs.txt", {"ballastctl", "report", "--part", "configfs"}},
      {"timeouts.txt", {"ballastctl", "report", "--part", "timeouts"}},
      {"tcmu-runner.log", {"tail", "-c", "4194304", "/var/log/tcmu-runner.log"}, true},
      {"journal.txt",
       {"journalctl", "--no-pager", "--quiet", "--output=short-iso-precise", "--since=-7d",
        "--lines=20000", "--unit=tcmu-runner.service", "--unit=ballast-*",
        "--unit=rtslib-fb-targetctl.service"},
       true},
      {"kernel.txt",
       {"journalctl", "--no-pager", "--quiet", "--output=short-iso-precise", "--since=-7d",
        "--lines=20000", "--dmesg",
        "--grep=iscsi|tcm|target_core|scsi|\\bsd[a-z]+\\b|ballast|blocked for more|rbd|nbd",
        "--case-sensitive=no"},
       true},
  };
  return all;
}

}  // namespace ballast::ctl::report
