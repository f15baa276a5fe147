// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/check/check.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <memory>

#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/machine/patience.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

struct Options {
  bool restored = false;
  std::size_t keep = 0;
  bool json = false;
};

// A service asks, when the machine has just started, and fails if it is not told.
constexpr Nanoseconds restored_patience = std::chrono::seconds{15};

check::Report examine(const Options& options) {
  const Files files = Files::of_this_machine();
  if (!options.restored) {
    return check::judge(check::gather(files));
  }
  check::Found found;
  found.saved = inventory_saved(files);
  found.now = look_with_patience(files, inventory_now, restored_patience);
  check::Report report = check::judge_restore(found);
  if (options.keep > 0 && report.severity() == check::Severity::critical) {
    const std::string& file = found.saved.value()->file;
    Result<std::string> copy = check::keep_copy(files, file, options.keep, std::time(nullptr));
    if (copy.ok()) {
      report.copy = std::move(copy).value();
    } else {
      report.findings.push_back({check::Severity::critical, "copy", copy.error().message,
                                 "keep a copy of " + file + " by hand, before anybody saves"});
    }
  }
  return report;
}

void run(const Options& options) {
  const check::Report report = examine(options);
  if (options.json) {
    print_json(check::as_json(report));
  } else {
    std::fputs(check::as_text(report).c_str(), stdout);
  }
  if (!finish_output()) {
    throw CLI::RuntimeError(static_cast<int>(check::Severity::unknown));
  }
  if (report.severity() != check::Severity::ok) {
    throw CLI::RuntimeError(static_cast<int>(report.severity()));
  }
}

}  // namespace

void add_check(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "check",
      "for monitoring: whether the target serves all that it should, and what is saved; exit 0 ok, "
      "1 warning, 2 critical, 3 unknown, wrong use among them");
  const auto options = std::make_shared<Options>();
  CLI::Option* const restored = command->add_flag(
      "--restored", options->restored, "only whether all that is saved is there, after a restore");
  command
      ->add_option("--keep", options->keep,
                   "if it is not, keep a copy of saveconfig.json beside it; at most so many copies")
      ->check(CLI::Range(1, 1000))
      ->needs(restored);
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
