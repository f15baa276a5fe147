// SPDX-License-Identifier: Apache-2.0
// Asks the plugin inside tcmu-runner through D-Bus. handler/control.h is the other side, and
// ballast-json(5) describes the answers.
//
// The bus is the system bus, or the one that DBUS_SYSTEM_BUS_ADDRESS names. Blocks;
// single-threaded.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/watch/bus.h"
#include "targetcli-config/ballastctl/cli_fwd.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/text/table.h"

namespace ballast::ctl {

// The daemon's main thread may be opening a LUN, and a LUN may take ten seconds for an action.
inline constexpr Nanoseconds usual_patience = std::chrono::seconds{15};

// Returns the answer as text. An empty `lun` means all LUNs. The error is one sentence for the
// operator; its errno_value is EACCES if the bus does not let this user ask.
Result<std::string> ask(const watch::bus::Method& method, const std::string& lun,
                        Nanoseconds patience = usual_patience);

// The plugin's version.
Result<std::string> plugin_version(Nanoseconds patience = usual_patience);

struct Reading {
  std::vector<nlohmann::json> luns;
  std::vector<std::string> silent;    // names of LUNs that did not answer the daemon
  std::vector<nlohmann::json> stuck;  // threads of LUNs that do not go on
};
// Reads an answer. The error says that it is not in a known form: the plugin has another version.
Result<Reading> read_answer(const std::string& answer);

// "LUN vol0 does not answer: ...", a sentence for each LUN that is silent or has a stuck thread.
std::vector<std::string> silence_of(const Reading& reading);

// A subcommand that asks `method` and shows the answer. With --json it prints the document.
// Otherwise it prints the text that `show` makes of it, and a warning for each LUN that did not
// answer.
struct Question {
  const char* name;
  const char* description;
  watch::bus::Method method;
  Table::Columns columns;  // of its tables, for -o
  std::string (*show)(const std::vector<nlohmann::json>& luns, const View& view);
  // Adds to the document what the daemon does not know; null: nothing. Returns a sentence on what
  // is missing, or "".
  std::string (*complete)(nlohmann::ordered_json& document) = nullptr;
};
void add_question(CLI::App& app, const Question& question);

// The texts of list, inflight and tasks.
std::string show_list(const std::vector<nlohmann::json>& luns, const View& view);
std::string show_in_flight(const std::vector<nlohmann::json>& luns, const View& view);
std::string show_tasks(const std::vector<nlohmann::json>& luns, const View& view);

// A subcommand that has one LUN do something, and prints what was done, or with --json how it is.
struct Action {
  const char* name;
  const char* description;
  watch::bus::Method method;
  const char* done;  // "this gateway owns its store now"
};
void add_action(CLI::App& app, const Action& action);

}  // namespace ballast::ctl
