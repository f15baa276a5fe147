// SPDX-License-Identifier: Apache-2.0
// The settings of systemd's units, and what starts at boot (check.h).
#include <fmt/format.h>

#include <algorithm>

#include "targetcli-config/ballastctl/check/check.h"

namespace ballast::ctl::check {

Findings judge(const Unit& unit) {
  // systemd does not read the settings of such a unit.
  if (unit.at_boot.starts_with("masked")) {
    return {};
  }
  const auto warning = [&](std::string text, std::string how) -> Findings {
    return {{Severity::warning, unit.name, std::move(text), std::move(how)}};
  };
  if (unit.settings.empty() && !unit.in_force) {
    return warning(
        "Ballast's settings for it are not installed, so it is neither ordered nor restarted",
        "install them (make install, or the package ballast-target), then systemctl "
        "daemon-reload");
  }
  if (!unit.in_force) {
    return warning(
        fmt::format("{} is not in force, because systemd has not read it", unit.settings),
        fmt::format("systemctl daemon-reload; then, when it suits, systemctl restart {}",
                    unit.name));
  }
  if (unit.is_old) {
    return warning("its files have changed since systemd read them", "systemctl daemon-reload");
  }
  if (unit.open_files && unit.process_open_files && *unit.process_open_files < *unit.open_files) {
    return warning(
        fmt::format("runs with the limits from before its settings: {} open files, not {}",
                    *unit.process_open_files, *unit.open_files),
        fmt::format("when it suits, systemctl restart {}", unit.name));
  }
  return {};
}

Findings judge_boot(const Found& found) {
  const Saved* const saved =
      found.saved.ok() && found.saved.value() ? &*found.saved.value() : nullptr;
  if (saved == nullptr || saved->inventory.backstores.empty()) {
    return {};
  }
  const auto starts = [](const Unit& unit) {
    // Settings of Ballast start the daemon for the unit that restores, unless it is masked.
    return unit.at_boot != "masked" && !(unit.restores && unit.at_boot == "disabled");
  };
  const bool something_restores = std::ranges::any_of(
      found.units, [&](const Unit& unit) { return unit.restores && starts(unit); });
  Findings findings;
  for (const Unit& unit : found.units) {
    if (starts(unit) || (unit.restores && something_restores)) {
      continue;
    }
    const std::string what =
        unit.restores ? fmt::format("the next boot does not bring back what {} has", saved->file)
                      : std::string{"after the next boot nobody answers the LUNs"};
    std::string how =
        unit.at_boot == "masked" ? fmt::format("systemctl unmask {}", unit.name) : std::string{};
    if (unit.restores) {
      how += fmt::format("{}systemctl enable {}", how.empty() ? "" : ", then ", unit.name);
    }
    findings.push_back({Severity::warning, unit.name, fmt::format("is {}: {}", unit.at_boot, what),
                        std::move(how)});
  }
  return findings;
}

}  // namespace ballast::ctl::check
