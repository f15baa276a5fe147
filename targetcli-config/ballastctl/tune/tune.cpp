// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/tune/tune.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/machine/options.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

struct Options {
  GoalOptions goal;
  bool all_targets = false;
  bool dry_run = false;
  bool undo = false;
  bool json = false;
};

void run(const Options& options) {
  const Files files = Files::of_this_machine();
  if (!options.dry_run && !files.is_fake() && ::geteuid() != 0) {
    fail("tune changes kernel settings and files in /etc, which needs root: sudo ballastctl tune");
  }
  const tune::Request request{options.goal.over(tune::recorded_goal(files)), options.all_targets};
  const Result<tune::Outcome> outcome = options.undo ? tune::undo(files, options.dry_run)
                                                     : tune::tune(files, request, options.dry_run);
  if (!outcome) {
    fail(outcome.error().message);
  }
  if (options.json) {
    print_json(tune::as_json(outcome.value()));
  } else {
    std::fputs(tune::text_of(outcome.value()).c_str(), stdout);
  }
  if (outcome.value().errors.empty()) {
    return;
  }
  std::fflush(stdout);
  for (const std::string& error : outcome.value().errors) {
    fmt::print(stderr, "ballastctl: {}\n", printable(error));
  }
  fail(fmt::format(
      "some changes failed; {} records the others: run tune again, or undo them with --undo",
      tune::record_path));
}

}  // namespace

void add_tune(CLI::App& app) {
  CLI::App* const command =
      app.add_subcommand("tune", "set up this initiator so that it outlives a freeze (needs root)");
  const auto options = std::make_shared<Options>();
  add_goal_options(*command, options->goal);
  command->add_flag("--all-targets", options->all_targets,
                    "also for every target that is discovered later, of Ballast or not");
  command->add_flag("--dry-run", options->dry_run, "say what would be changed, and change nothing");
  command->add_flag("--undo", options->undo, "put back everything that tune has changed");
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
