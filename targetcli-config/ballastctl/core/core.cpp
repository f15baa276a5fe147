// SPDX-License-Identifier: Apache-2.0
// ballastctl core: what the LUNs of a tcmu-runner that has died were doing, out of its core file.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/watch/report.h"
#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/core/process.h"
#include "targetcli-config/ballastctl/core/views.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

using namespace core;

struct Options {
  std::string file;
  std::string verb = "list";
  std::string lun;
  std::string plugin;
  bool json = false;
};

// What can be shown: as a document in the form of ballast-json(5), and as text.
struct Report {
  const char* name;
  Json (*luns)(const Process& process);
  std::string (*show)(const std::vector<nlohmann::json>& luns, const View& view);
};

// As the live plugin writes it.
template <auto report, watch::Lists lists>
constexpr auto as_live = [](const Process& process) -> Json {
  return Json::parse(report(snapshots(process, lists), watch::FromOutside{})).at("luns");
};

constexpr std::array reports{
    Report{"list", as_live<watch::report::list, watch::Lists{}>, show_list},
    Report{"inflight", as_live<watch::report::inflight, watch::Lists{.in_flight = true}>,
           show_in_flight},
    Report{"tasks", as_live<watch::report::tasks, watch::Lists{.tasks = true}>, show_tasks},
    Report{"locks", locks, show_locks},
    Report{"ops", operations, show_operations},
    Report{"log", logs, show_logs},
};

const Report& report_of(const std::string& name) {
  for (const Report& report : reports) {
    if (report.name == name) {
      return report;
    }
  }
  throw CLI::ValidationError{"VERB", fmt::format("there is no \"{}\": give list, inflight, tasks, "
                                                 "locks, ops or log",
                                                 name)};
}

Json of_lun(const Json& all, const std::string& name) {
  Json its = Json::array();
  for (const Json& lun : all) {
    if (name.empty() || lun.at("name") == name) {
      its.push_back(lun);
    }
  }
  if (its.empty() && !name.empty()) {
    fail(fmt::format("there is no LUN \"{}\" in it", printable(name)));
  }
  return its;
}

void say(const std::string& sentence) {
  fmt::print(stderr, "ballastctl: {}\n", printable(sentence));
}

void run(const Options& options) {
  const Report& report = report_of(options.verb);
  Result<MappedFile> file = MappedFile::open(options.file);
  if (!file.ok()) {
    fail(file.error().message);
  }
  Result<CoreFile> core = CoreFile::parse(file.value().bytes());
  if (!core.ok()) {
    fail(fmt::format("cannot use {}: {}", options.file, core.error().message));
  }
  Reader reader{core.value()};
  const Result<Process> process = Process::find(core.value(), reader, options.plugin);
  if (!process.ok()) {
    fail(fmt::format("cannot use {}: {}", options.file, process.error().message));
  }
  const Json luns = of_lun(report.luns(process.value()), options.lun);
  for (const std::string& sentence : process.value().end()) {
    say(sentence);
  }
  for (const std::string& sentence : reader.notes()) {
    say(sentence);
  }
  if (options.json) {
    Json document;
    document["version"] = 1;
    document["report"] = report.name;
    document["luns"] = luns;
    document["silent"] = Json::array();
    document["stuck"] = Json::array();
    print_json(document);
    return;
  }
  const std::vector<nlohmann::json> each(luns.begin(), luns.end());
  std::fputs(report.show(each, {{}, terminal_width()}).c_str(), stdout);
}

}  // namespace

void add_core(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "core", "a core file of tcmu-runner: what its LUNs were doing when it died");
  const auto options = std::make_shared<Options>();
  command->add_option("FILE", options->file, "the core file, unpacked")->required();
  command->add_option("VERB", options->verb,
                      "list (if left out), inflight, tasks, locks, ops or log: what to show");
  command->add_option("--lun", options->lun, "the name of the backstore; without it, all of them");
  command->add_option(
      "--plugin", options->plugin,
      "the handler_ballast.so that it ran; without it, the file that it had mapped");
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
