// SPDX-License-Identifier: Apache-2.0
// ballastctl: shows what Ballast's LUNs are doing, and changes what an operator may change. Its
// manual is ballastctl(8), targetcli-config/man/ballastctl.8.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <clocale>
#include <cstdio>
#include <exception>
#include <span>
#include <string_view>

#include "lib/base/version.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/elsewhere.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

bool has_subcommand(const CLI::App& app, std::string_view name) {
  return std::ranges::any_of(app.get_subcommands([](const CLI::App*) { return true; }),
                             [&](const CLI::App* each) { return each->get_name() == name; });
}

int run(int argc, char** argv) {
  CLI::App app{
      "Shows what Ballast's LUNs are doing, and prepares initiators for a freeze.\nExit: 0 ok, 1 "
      "failed, 2 wrong use. ballastctl(8) is the manual.",
      "ballastctl"};
  app.failure_message([](const CLI::App* of, const CLI::Error& error) {
    return "ballastctl: " + CLI::FailureMessage::simple(of, error);
  });
  app.set_version_flag("--version", fmt::format("ballastctl {}", version));
  app.require_subcommand(1);
  add_host_option(app);
  // These ask tcmu-runner, through D-Bus.
  add_list(app);
  add_inflight(app);
  add_slow(app);
  add_stats(app);
  add_tasks(app);
  add_fault(app);
  add_activate(app);
  add_standby(app);
  // These compare or change what configfs and /etc/ballast/ballast.conf say.
  add_config(app);
  add_set(app);
  // These look at the kernel and at open-iscsi.
  add_doctor(app);
  add_tune(app);
  // These use all of these sources.
  add_drill(app);
  add_watch(app);
  add_metrics(app);
  // This one reads what watch has recorded.
  add_history(app);
  add_check(app);
  add_report(app);
  // This one works on files and devices.
  add_log(app);
  // This one reads a core file of tcmu-runner.
  add_core(app);
  if (const Elsewhere elsewhere = parse_host(argc, argv); elsewhere.asked) {
    return run_elsewhere(elsewhere);
  }
  try {
    if (argc > 1 && argv[1][0] != '-' && !has_subcommand(app, argv[1])) {
      throw CLI::ValidationError{fmt::format("there is no subcommand \"{}\"", printable(argv[1]))};
    }
    for (const std::string_view word : std::span{argv, static_cast<std::size_t>(argc)}) {
      if (word.starts_with('[') && word.ends_with(']')) {
        throw CLI::ValidationError{fmt::format(
            "\"{}\" is in brackets, which would make a list of it: write its words one by one",
            printable(word))};
      }
    }
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& failed) {  // fail() has printed the reason
    return failed.get_exit_code();
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) == 0) {
      return exit_ok;
    }
    return app.got_subcommand("check") ? exit_check_unknown : exit_usage;
  }
  return finish_output() ? exit_ok : exit_failed;
}

}  // namespace
}  // namespace ballast::ctl

int main(int argc, char** argv) {
  // ballastctl prints UTF-8, whatever the locale of the terminal says.
  std::setlocale(LC_CTYPE, "C.UTF-8");
  // JSON may differ from its documentation, and memory may run out. Then a message is better than
  // an abort.
  try {
    return ballast::ctl::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "ballastctl: {}\n", error.what());
    return ballast::ctl::exit_failed;
  }
}
