// SPDX-License-Identifier: Apache-2.0
// ballastctl fault: shows, replaces and clears the rules of a LUN's fault wrapper. The wrapper
// reads them from a file ten times a second (lib/backend/fault.h, fault_rules.h).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <utility>

#include "lib/backend/fault_rules.h"
#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/machine/files.h"

namespace ballast::ctl {
namespace {

// Returns the path of the LUN's control file. Ends in fail() if there is none.
std::string control_file_of(const std::string& name) {
  const Result<std::string> answer = ask(watch::bus::list, "");
  if (!answer) {
    fail(answer.error().message);
  }
  const Reading reading = or_fail(read_answer(answer.value()));
  std::vector<std::string> names = reading.silent;
  for (const nlohmann::json& lun : reading.luns) {
    if (lun.at("name") != name) {
      names.push_back(lun.at("name"));
      continue;
    }
    const nlohmann::json& path = lun.at("fault_control");
    if (path.is_null()) {
      fail(
          fmt::format("LUN {0} has no control file for faults: name one in its configuration "
                      "string, as in ;fault=/run/{0}.fault",
                      name));
    }
    return path;
  }
  if (std::find(reading.silent.begin(), reading.silent.end(), name) != reading.silent.end()) {
    fail(fmt::format(
        "LUN {} does not answer (its thread is busy or stuck), so its control file is not known",
        name));
  }
  fail(fmt::format(
      "there is no LUN \"{}\"; {}", name,
      names.empty() ? "no LUN is open" : fmt::format("there are {}", fmt::join(names, ", "))));
}

// Returns the lines of the control file but the blank ones; none if there is no file.
std::vector<std::string> rules_in(const std::string& path) {
  errno = 0;
  std::ifstream file{path, std::ios::binary};
  if (!file && errno != ENOENT) {
    fail(fmt::format("{} cannot be read: {}", path, std::strerror(errno)));
  }
  std::vector<std::string> rules;
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of(' ') != std::string::npos) {
      rules.push_back(std::move(line));
    }
  }
  return rules;
}

// Writes the whole text or nothing, because the daemon must not read half a rule.
void replace(const std::string& path, const std::string& text) {
  if (const Result<void> done = Files{""}.replace(path, text, 0600); !done) {
    fail(done.error().message);
  }
}

struct Options {
  std::string lun;
  std::string action = "show";
  std::vector<std::string> rules;
  bool json = false;
};

void show_as_json(const std::string& lun, const std::string& path) {
  print_json({{"version", 1},
              {"report", "fault"},
              {"lun", lun},
              {"control_file", path},
              {"rules", rules_in(path)}});
}

void show(const Options& options) {
  const std::string path = control_file_of(options.lun);
  if (options.json) {
    show_as_json(options.lun, path);
    return;
  }
  const std::vector<std::string> rules = rules_in(path);
  if (rules.empty()) {
    fmt::print("{}: no rules, no faults\n", printable(options.lun));
  }
  for (const std::string& rule : rules) {
    fmt::print("{}\n", printable(rule));
  }
}

// Without rules, it clears them.
void set(const Options& options) {
  const std::string path = control_file_of(options.lun);
  const std::string text =
      options.rules.empty() ? "" : fmt::format("{}\n", fmt::join(options.rules, "\n"));
  // The daemon refuses a wrong text as a whole, but says so only in its log. So check the text
  // here.
  const auto parsed = backend::FaultRules::parse(text);
  if (!parsed) {
    fail(fmt::format("nothing is changed: {}", parsed.error().message));
  }
  replace(path, text);
  if (options.json) {
    show_as_json(options.lun, path);
  }
}

void run(const Options& options) {
  if (options.action == "set" && options.rules.empty()) {
    throw CLI::ValidationError{"set", "needs at least one rule, as in: set 'all freeze'"};
  }
  if (options.action != "set" && !options.rules.empty()) {
    throw CLI::ValidationError{options.action, "takes no rule"};
  }
  if (options.action == "show") {
    show(options);
  } else {
    set(options);
  }
}

}  // namespace

void add_fault(CLI::App& app) {
  CLI::App* const command =
      app.add_subcommand("fault", "for tests: delay, freeze or fail a LUN's operations");
  const auto options = std::make_shared<Options>();
  command->add_option("LUN", options->lun, "the backstore's name")->required();
  command->add_option("ACTION", options->action, "show (the default), set or clear")
      ->check(CLI::IsMember({"show", "set", "clear"}));
  command->add_option("RULE", options->rules,
                      "each a line as in ballastctl(8): 'all freeze', 'write delay=2s chance=10%'");
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
