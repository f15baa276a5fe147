// SPDX-License-Identifier: Apache-2.0
// Reads what check.h judges.
#include <algorithm>
#include <array>
#include <sstream>

#include "kmodules/io_uring.h"
#include "lib/watch/bus.h"
#include "targetcli-config/ballastctl/check/check.h"
#include "targetcli-config/ballastctl/machine/patience.h"
#include "targetcli-config/ballastctl/machine/program.h"

namespace ballast::ctl::check {
namespace {

struct UnitWithSettings {
  const char* name;
  bool restores;
};
// Fedora restores targets with target.service.
constexpr std::array units_with_settings{UnitWithSettings{"tcmu-runner.service", false},
                                         UnitWithSettings{"rtslib-fb-targetctl.service", true},
                                         UnitWithSettings{"target.service", true}};

// Where systemd and the bus look for files, those of make install among them.
constexpr std::array unit_folders{"/etc/systemd/system", "/run/systemd/system",
                                  "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
                                  "/lib/systemd/system"};
constexpr std::array policy_folders{"/etc/dbus-1/system.d", "/usr/local/share/dbus-1/system.d",
                                    "/usr/share/dbus-1/system.d"};

using Properties = std::map<std::string, std::string>;

// One block of NAME=VALUE lines for each unit, in their order, with an empty line between them.
std::vector<Properties> properties_of_units(const Files& files) {
  std::vector<std::string> words{"show",
                                 "--property=LoadState,UnitFileState,DropInPaths,NeedDaemonReload,"
                                 "LimitNOFILE,MainPID"};
  for (const UnitWithSettings& unit : units_with_settings) {
    words.emplace_back(unit.name);
  }
  const Ended ended = run_program(files, "/usr/bin/systemctl", words);
  std::vector<Properties> all;
  if (ended.status != 0) {
    return all;
  }
  all.emplace_back();
  std::istringstream lines{ended.said};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    if (line.empty()) {
      all.emplace_back();
    } else if (equals != std::string::npos) {
      all.back()[line.substr(0, equals)] = line.substr(equals + 1);
    }
  }
  return all;
}

// "Max open files            1024                 524288               files"
std::optional<std::int64_t> open_files_of(const Files& files, const std::string& process) {
  constexpr std::string_view title = "Max open files ";
  std::istringstream lines{files.read("/proc/" + process + "/limits").value_or("")};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(title)) {
      std::istringstream values{line.substr(title.size())};
      std::string soft;
      values >> soft;
      return whole_number(soft);
    }
  }
  return std::nullopt;
}

Unit unit_of(const Files& files, const UnitWithSettings& which, const Properties& properties) {
  const auto property = [&](const char* name) {
    const auto found = properties.find(name);
    return found == properties.end() ? std::string{} : found->second;
  };
  Unit unit;
  unit.name = which.name;
  unit.restores = which.restores;
  unit.at_boot = property("UnitFileState");
  const std::string settings = "/" + unit.name + ".d/ballast.conf";
  for (const char* const folder : unit_folders) {
    if (unit.settings.empty() && files.exists(folder + settings)) {
      unit.settings = folder + settings;
    }
  }
  unit.in_force = property("DropInPaths").find(settings) != std::string::npos;
  unit.is_old = property("NeedDaemonReload") == "yes";
  unit.open_files = whole_number(property("LimitNOFILE"));
  if (const std::string process = property("MainPID"); !process.empty() && process != "0") {
    unit.process_open_files = open_files_of(files, process);
  }
  return unit;
}

std::vector<Unit> units(const Files& files) {
  const std::vector<Properties> properties = properties_of_units(files);
  std::vector<Unit> all;
  for (std::size_t i = 0; i < properties.size() && i < units_with_settings.size(); ++i) {
    // Of those that restore targets, a distribution has one.
    if (const auto load = properties[i].find("LoadState");
        load != properties[i].end() && (load->second == "loaded" || load->second == "masked")) {
      all.push_back(unit_of(files, units_with_settings[i], properties[i]));
    }
  }
  return all;
}

Result<Reading> answer_to(const watch::bus::Method& method) {
  const Result<std::string> answer = ask(method, "");
  return answer ? read_answer(answer.value()) : Result<Reading>{answer.error()};
}

void ask_plugin(Found& found) {
  found.plugin = plugin_version();
  for (const auto& [method, reading] :
       {std::pair{&watch::bus::list, &found.list}, std::pair{&watch::bus::stats, &found.stats}}) {
    if (found.plugin.ok()) {
      Result<Reading> answer = answer_to(*method);
      if (answer.ok()) {
        *reading = std::move(answer).value();
      } else {
        found.plugin = answer.error();
      }
    }
  }
}

}  // namespace

Found gather(const Files& files) {
  Found found;
  found.saved = inventory_saved(files);
  found.now = look_with_patience(files, inventory_now);
  found.units = units(files);
  found.no_io_uring = kmod::look_for_io_uring();
  found.has_bus_policy = std::ranges::any_of(policy_folders, [&](const char* folder) {
    return files.exists(std::string{folder} + "/" + watch::bus::name + ".conf");
  });
  ask_plugin(found);
  return found;
}

}  // namespace ballast::ctl::check
