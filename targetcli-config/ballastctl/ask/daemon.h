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
#include "lib/watch/bus.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {

// The answer, as text. An empty `lun`: all. The error is one sentence for the operator.
Result<std::string> ask(const watch::bus::Method& method, const std::string& lun);

struct Reading {
  std::vector<nlohmann::json> luns;
  std::vector<std::string> silent;  // names of LUNs that did not answer the daemon
};
// What such an answer says. Ends in fail() where it is not one we can read.
Reading read_answer(const std::string& answer);

// A subcommand that asks `method` and shows the answer: `--json` as it is, else through `show`,
// which returns the text, with a warning for each LUN that is silent.
struct Question {
  const char* name;
  const char* description;
  watch::bus::Method method;
  std::string (*show)(const std::vector<nlohmann::json>& luns);
};
void add_question(CLI::App& app, const Question& question);

}  // namespace ballast::ctl
