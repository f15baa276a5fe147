// SPDX-License-Identifier: Apache-2.0
// ballastctl doctor: examines the machine and changes nothing.
#include "targetcli-config/ballastctl/doctor/doctor.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <optional>

#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/machine/options.h"
#include "targetcli-config/ballastctl/machine/patience.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/tune/record.h"

namespace ballast::ctl {
namespace doctor {

std::size_t Report::changes() const {
  const auto of = [](const std::vector<Finding>& findings) {
    return static_cast<std::size_t>(
        std::count_if(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.verdict == Verdict::change; }));
  };
  std::size_t sum = of(machine) + of(windows);
  for (const DiskReport& each : disks) {
    sum += of(each.findings);
  }
  for (const LunReport& each : luns) {
    sum += of(each.findings);
  }
  return sum;
}

namespace {

struct Target {
  std::vector<TargetLun> luns;
  std::vector<CommandWindow> windows;
};

Target look_at_target(const Files& files) {
  const std::vector<TargetLun> luns = target_luns(files);
  return {luns, command_windows(files, luns)};
}

}  // namespace

Result<Report> examine(const Files& files, const std::vector<std::string>& names,
                       const Goal& goal) {
  Report report;
  report.goal = goal;
  const Result<std::vector<Disk>> found = disks(files, names);
  if (!found) {
    return found.error();
  }
  std::optional<multipath::Daemon> daemon;
  for (const Disk& disk : found.value()) {
    report.disks.push_back({disk, judge(disk, goal)});
    if (disk.map) {
      daemon = daemon ? daemon : multipath::daemon(files);
      std::ranges::move(judge(disk, *daemon, goal),
                        std::back_inserter(report.disks.back().findings));
    }
  }
  if (!report.disks.empty()) {
    report.machine = judge(machine(files), goal);
  }
  if (!names.empty()) {
    return report;
  }
  const std::optional<Target> target = look_with_patience(files, look_at_target);
  report.knows_target = target.has_value();
  if (!target) {
    return report;
  }
  for (const TargetLun& lun : target->luns) {
    report.luns.push_back({lun, judge(lun)});
  }
  for (const CommandWindow& window : target->windows) {
    report.windows.push_back(judge(window));
  }
  return report;
}

}  // namespace doctor

namespace {

struct Options {
  std::vector<std::string> names;
  GoalOptions goal;
  bool json = false;
};

void run(const Options& options) {
  const Files files = Files::of_this_machine();
  const Result<doctor::Report> report =
      doctor::examine(files, options.names, options.goal.over(tune::recorded_goal(files)));
  if (!report) {
    throw CLI::ValidationError(report.error().message);
  }
  if (options.json) {
    print_json(doctor::as_json(report.value()));
  } else {
    std::fputs(doctor::as_text(report.value(), {{}, terminal_width()}).c_str(), stdout);
  }
  if (!report.value().is_well()) {
    finish_output();
    throw CLI::RuntimeError(exit_failed);
  }
}

}  // namespace

void add_doctor(CLI::App& app) {
  CLI::App* const command =
      app.add_subcommand("doctor",
                         "check the settings that decide whether this machine outlives a freeze; "
                         "exit 1: something should be changed");
  const auto options = std::make_shared<Options>();
  command->add_option(
      "DISK", options->names,
      "disks of this initiator; without them, all disks of Ballast and all its backstores");
  add_goal_options(*command, options->goal);
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
