// SPDX-License-Identifier: Apache-2.0
// ballastctl metrics: what Prometheus may know of this machine's LUNs and disks, in its text
// format.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/machine/patience.h"
#include "targetcli-config/ballastctl/metrics/gather.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

void run(const std::string& file) {
  const Files files = Files::of_this_machine();
  const metrics::Gathered gathered = metrics::gather(metrics::ask_plugin(usual_patience),
                                                     look_with_patience(files, metrics::look));
  for (const std::string& sentence : gathered.missing) {
    fmt::print(stderr, "ballastctl: {}\n", printable(sentence));
  }
  const std::string text = metrics::as_text(gathered.families);
  if (file.empty()) {
    std::fputs(text.c_str(), stdout);
    return;
  }
  if (const Result<void> written = files.replace(file, text); !written) {
    fail(written.error().message);
  }
}

}  // namespace

void add_metrics(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "metrics", "what Prometheus may know of LUNs and disks, in its text format");
  const auto file = std::make_shared<std::string>();
  command->add_option("--output", *file, "replace this file, instead of printing");
  command->callback([file] { run(*file); });
}

}  // namespace ballast::ctl
