// SPDX-License-Identifier: Apache-2.0
// The findings of doctor.h, as text for people and as JSON for programs.
#include <fmt/format.h>

#include "lib/base/values.h"
#include "targetcli-config/ballastctl/doctor/doctor.h"
#include "targetcli-config/ballastctl/machine/patience.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl::doctor {
namespace {

std::string table_of(const std::vector<Finding>& findings, const View& view) {
  constexpr auto wrap = Table::Align::wrap;
  Table table{{{"SETTING", wrap}, {"VALUE"}, {"VERDICT"}, {"WANTED", wrap}, {"WHY", wrap}}};
  for (const Finding& finding : findings) {
    table.add(
        {finding.setting, finding.value, to_string(finding.verdict), finding.wanted, finding.why});
  }
  return table.text(view);
}

std::string how_of(const std::string& where, const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    if (finding.verdict == Verdict::change) {
      text += fmt::format("  {}{}: {}\n", printable(where), printable(finding.setting),
                          printable(finding.how));
    }
  }
  return text;
}

std::string length(Nanoseconds time) {
  return time == timeline::for_ever
             ? "for ever"
             : fmt::format("for {}", duration_text(static_cast<std::uint64_t>(time.count())));
}

std::string timeline_text(const std::vector<timeline::Event>& events) {
  std::string text;
  for (const timeline::Event& event : events) {
    text += fmt::format("  {:>6} s  {:<18}  {}\n", whole_seconds(event.at),
                        timeline::to_string(event.what), event.sentence);
  }
  return text;
}

std::string text_of(const DiskReport& report, const Goal& goal, const View& view) {
  const Disk& disk = report.disk;
  const timeline::Settings settings = timeline_settings(disk);
  std::string text =
      fmt::format("{}: {}, LUN {} of {} at {}, {}\n\n", disk.name, printable(disk.model), disk.lun,
                  printable(disk.target), printable(disk.portal), disk.session);
  text += table_of(report.findings, view);
  text += fmt::format("\nA freeze of its store is outlived {}, with Ballast's deadline of {}:\n",
                      length(timeline::survives(settings, goal.deadline)),
                      config::format_duration(goal.deadline));
  text += timeline_text(timeline::answered_busy(settings, goal.deadline));
  text += fmt::format("A target that does not answer at all is outlived {}:\n",
                      length(timeline::survives_unanswered(settings)));
  text += timeline_text(timeline::unanswered(settings));
  if (disk.map) {
    text += fmt::format(
        "These are errors of one path of {}, {}. Applications see one only if "
        "no_path_retry lets it through.\n",
        printable(disk.map->name), fmt::join(disk.map->paths, " and "));
  }
  return text + "\n";
}

std::string target_text(const Report& report, const View& view) {
  std::string text;
  if (!report.knows_target) {
    text += fmt::format("backstores and command windows are not examined: {}; try again\n\n",
                        files_hang);
  }
  for (const LunReport& each : report.luns) {
    text += fmt::format("backstore {}: {}\n\n{}\n", printable(each.lun.name),
                        printable(each.lun.configuration), table_of(each.findings, view));
  }
  if (!report.windows.empty()) {
    text += fmt::format("command windows of sessions (cmdsn_depth)\n\n{}\n",
                        table_of(report.windows, view));
  }
  return text;
}

nlohmann::json json_of(const std::vector<Finding>& findings) {
  nlohmann::json list = nlohmann::json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"setting", finding.setting},
                    {"value", finding.value},
                    {"verdict", to_string(finding.verdict)},
                    {"wanted", finding.wanted},
                    {"why", finding.why},
                    {"how", finding.how}});
  }
  return list;
}

nlohmann::json json_of(Nanoseconds time) {
  return time == timeline::for_ever ? nlohmann::json{} : nlohmann::json(time.count());
}

nlohmann::json json_of(const std::vector<timeline::Event>& events) {
  nlohmann::json list = nlohmann::json::array();
  for (const timeline::Event& event : events) {
    list.push_back({{"at_ns", event.at.count()},
                    {"what", timeline::to_string(event.what)},
                    {"sentence", event.sentence},
                    {"others", event.others}});
  }
  return list;
}

nlohmann::json json_of(const DiskReport& report, const Goal& goal) {
  const Disk& disk = report.disk;
  const timeline::Settings settings = timeline_settings(disk);
  return {{"name", disk.name},
          {"model", disk.model},
          {"lun", disk.lun},
          {"target", disk.target},
          {"portal", disk.portal},
          {"session", disk.session},
          {"multipath", disk.map ? nlohmann::json{{"name", disk.map->name},
                                                  {"wwid", disk.map->wwid},
                                                  {"paths", disk.map->paths}}
                                 : nlohmann::json{}},
          {"settings", json_of(report.findings)},
          {"survives_ns", json_of(timeline::survives(settings, goal.deadline))},
          {"survives_unanswered_ns", json_of(timeline::survives_unanswered(settings))},
          {"answered_busy", json_of(timeline::answered_busy(settings, goal.deadline))},
          {"unanswered", json_of(timeline::unanswered(settings))}};
}

}  // namespace

const char* to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::change:
      return "change";
    case Verdict::unknown:
      return "unknown";
  }
  return "unknown";
}

std::string as_text(const Report& report, const View& view) {
  if (report.disks.empty() && report.luns.empty() && report.knows_target) {
    return "nothing to examine: this machine has no disk of Ballast over iSCSI, and no Ballast "
           "backstore\n";
  }
  std::string text, how;
  for (const DiskReport& each : report.disks) {
    text += text_of(each, report.goal, view);
    how += how_of(each.disk.name + " ", each.findings);
  }
  if (!report.machine.empty()) {
    text += fmt::format("this machine\n\n{}\n", table_of(report.machine, view));
    how += how_of("", report.machine);
  }
  text += target_text(report, view);
  for (const LunReport& each : report.luns) {
    how += how_of(each.lun.name + " ", each.findings);
  }
  how += how_of("window of ", report.windows);
  const std::size_t changes = report.changes();
  if (changes == 0 && !report.knows_target) {
    return text;
  }
  if (changes == 0) {
    const std::string survived = report.disks.empty()
                                     ? ""
                                     : fmt::format(", a freeze of {} is outlived",
                                                   config::format_duration(report.goal.survive));
    return text + "ok: nothing to change" + survived + "\n";
  }
  return text + fmt::format("{} to change, to outlive a freeze of {}:\n{}", changes,
                            config::format_duration(report.goal.survive), how);
}

nlohmann::json as_json(const Report& report) {
  nlohmann::json document{{"version", 1},
                          {"report", "doctor"},
                          {"ok", report.is_well()},
                          {"survive_ns", report.goal.survive.count()},
                          {"deadline_ns", report.goal.deadline.count()},
                          {"disks", nlohmann::json::array()},
                          {"machine", json_of(report.machine)},
                          {"luns", nlohmann::json::array()},
                          {"windows", json_of(report.windows)}};
  for (const DiskReport& each : report.disks) {
    document["disks"].push_back(json_of(each, report.goal));
  }
  if (!report.knows_target) {
    document["luns"] = document["windows"] = nullptr;
  }
  for (const LunReport& each : report.luns) {
    document["luns"].push_back({{"name", each.lun.name},
                                {"configuration", each.lun.configuration},
                                {"settings", json_of(each.findings)}});
  }
  return document;
}

}  // namespace ballast::ctl::doctor
