// SPDX-License-Identifier: Apache-2.0
// The settings of systemd's units (check.h).
#include <fmt/format.h>

#include "targetcli-config/ballastctl/check/check.h"

namespace ballast::ctl::check {

Findings judge(const Unit& unit) {
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

}  // namespace ballast::ctl::check
