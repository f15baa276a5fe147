// SPDX-License-Identifier: Apache-2.0
// The plugin inside tcmu-runner, asked through D-Bus (handler/control.h is the other side;
// lib/watch/report.h says what it answers).
//
// On the system bus, or where DBUS_SYSTEM_BUS_ADDRESS points. Blocks; single-threaded.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "targetcli-config/ballastctl/output.h"

namespace ballast::ctl {

// The answer to method "List", "InFlight", "Slow", "Stats" or "Tasks", as text. An empty `lun`:
// all. The error is one sentence for the operator.
Result<std::string> ask(const char* method, const std::string& lun);

// The `luns` of such an answer; warns on standard error of the LUNs in `silent`.
// Ends in fail() where the answer is not one we can read.
std::vector<nlohmann::json> luns_of(const std::string& answer);

// A subcommand that asks `method` and shows the answer: `--json` as it is, else through `show`,
// which returns the text. All but List take a LUN.
struct Question {
  const char* name;
  const char* description;
  const char* method;
  std::string (*show)(const std::vector<nlohmann::json>& luns);
};
void add_question(CLI::App& app, const Question& question);

}  // namespace ballast::ctl
