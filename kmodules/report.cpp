// SPDX-License-Identifier: Apache-2.0
#include "kmodules/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace ballast::kmod {
namespace {

bool runs(State state) {
  return state == State::builtin || state == State::loaded;
}

std::string text_of(const Tcmu& tcmu) {
  std::string text = fmt::format("\nTCMU capabilities ({})\n", tcmu.mailbox_from);
  for (const CapabilityInfo& info : capabilities()) {
    const Verdict verdict = judge(tcmu, info);
    text += fmt::format("  {:<24} {:<8} {}\n", info.name, to_string(verdict.answer), info.reason);
    if (!tcmu.mailbox) {
      text += fmt::format("  {:<24} {:<8} ({})\n", "", "", verdict.known_from);
    }
  }
  text += fmt::format("\nTCMU attributes ({})\n", tcmu.attributes_from);
  for (const auto& [name, value] : tcmu.attributes) {
    text += fmt::format("  {:<24} {:<8} {}", name, value, attribute_meaning(name));
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  text += "\nTCMU actions\n ";
  for (const std::string& action : tcmu.actions) {
    text += " " + action;
  }
  text += "\n\nParameters of target_core_user\n";
  for (const auto& [name, value] : tcmu.parameters) {
    text += fmt::format("  {:<24} {}\n", name, value);
  }
  return text;
}

std::string conclusion(const Findings& findings) {
  switch (verdict(findings)) {
    case exit_ready:
      return "ready: this kernel can export Ballast LUNs\n";
    case exit_not_loaded:
      return "not ready: run `ballast-kmod load` as root\n";
    default:
      break;
  }
  // Modules with the same advice share one line.
  std::vector<std::pair<std::string, std::string>> lines;  // advice, names
  for (const ModuleFinding& finding : findings.modules) {
    if (finding.module.role != Role::target || finding.state != State::missing) {
      continue;
    }
    const std::string help = advice(findings.kernel, finding.module);
    if (lines.empty() || lines.back().first != help) {
      lines.emplace_back(help, finding.module.name);
    } else {
      lines.back().second += fmt::format(", {}", finding.module.name);
    }
  }
  std::string text;
  for (const auto& [help, names] : lines) {
    text += fmt::format("not ready: missing: {}: {}\n", names, help);
  }
  if (!findings.no_io_uring_because.empty()) {
    text += fmt::format("not ready: io_uring: {}\n", findings.no_io_uring_because);
  }
  return text;
}

nlohmann::json json_of(const Tcmu& tcmu) {
  nlohmann::json json{{"attributes_from", tcmu.attributes_from},
                      {"attributes", tcmu.attributes},
                      {"actions", tcmu.actions},
                      {"module_parameters", tcmu.parameters},
                      {"mailbox_from", tcmu.mailbox_from},
                      {"mailbox", nullptr}};
  if (tcmu.mailbox) {
    json["mailbox"] = {{"version", tcmu.mailbox->version},
                       {"flags", tcmu.mailbox->flags},
                       {"ring_offset", tcmu.mailbox->ring_offset},
                       {"ring_bytes", tcmu.mailbox->ring_bytes}};
  }
  for (const CapabilityInfo& info : capabilities()) {
    const Verdict verdict = judge(tcmu, info);
    json["capabilities"][info.name] = {{"answer", to_string(verdict.answer)},
                                       {"known_from", verdict.known_from}};
  }
  return json;
}

}  // namespace

ExitCode verdict(const Findings& findings) {
  if (!findings.no_io_uring_because.empty()) {
    return exit_missing;
  }
  ExitCode code = findings.configfs_mounted ? exit_ready : exit_not_loaded;
  for (const ModuleFinding& finding : findings.modules) {
    if (finding.module.role != Role::target || runs(finding.state)) {
      continue;
    }
    if (finding.state == State::missing) {
      return exit_missing;
    }
    code = exit_not_loaded;
  }
  return code;
}

std::string as_text(const Findings& findings) {
  std::string text = fmt::format("kernel {}\n\n{:<18}{:<10}{:<11}{}\n", findings.kernel.release,
                                 "MODULE", "STATE", "FOR", "WHY");
  for (const ModuleFinding& finding : findings.modules) {
    text += fmt::format("{:<18}{:<10}{:<11}{}\n", finding.module.name, to_string(finding.state),
                        to_string(finding.module.role), finding.module.reason);
  }
  text += fmt::format("\nconfigfs: {}\n", findings.configfs_mounted
                                              ? "mounted at /sys/kernel/config"
                                              : "not mounted at /sys/kernel/config");
  text += fmt::format("io_uring: {}\n", findings.no_io_uring_because.empty()
                                            ? "can be used"
                                            : findings.no_io_uring_because);
  text += findings.tcmu ? text_of(*findings.tcmu)
                        : fmt::format("\nTCMU: not examined: {}\n", findings.no_tcmu_because);
  return text + "\n" + conclusion(findings);
}

std::string as_json(const Findings& findings) {
  nlohmann::json json{{"version", 1},
                      {"report", "kmod"},
                      {"kernel", findings.kernel.release},
                      {"ready", verdict(findings) == exit_ready},
                      {"configfs_mounted", findings.configfs_mounted},
                      {"io_uring", findings.no_io_uring_because.empty()},
                      {"modules", nlohmann::json::array()},
                      {"tcmu", nullptr}};
  if (!findings.no_io_uring_because.empty()) {
    json["no_io_uring_because"] = findings.no_io_uring_because;
  }
  for (const ModuleFinding& finding : findings.modules) {
    nlohmann::json module{{"name", finding.module.name},
                          {"state", to_string(finding.state)},
                          {"role", to_string(finding.module.role)},
                          {"reason", finding.module.reason}};
    if (finding.state == State::missing) {
      module["advice"] = advice(findings.kernel, finding.module);
    }
    json["modules"].push_back(module);
  }
  if (findings.tcmu) {
    json["tcmu"] = json_of(*findings.tcmu);
  } else {
    json["no_tcmu_because"] = findings.no_tcmu_because;
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace ballast::kmod
