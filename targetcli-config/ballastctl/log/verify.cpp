// SPDX-License-Identifier: Apache-2.0
// ballastctl log verify: reads and verifies all that a log has, and says how much it is.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/write_log/ring.h"
#include "targetcli-config/ballastctl/log/offline.h"
#include "targetcli-config/ballastctl/log/paths.h"
#include "targetcli-config/ballastctl/log/ranges.h"
#include "targetcli-config/ballastctl/log/verbs.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

using write_log::Contents;
using write_log::Superblock;

struct Options {
  std::string log;
  bool json = false;
};

void print(const std::string& path, const Superblock& superblock, const Contents& contents,
           bool json) {
  const write_log::Ring ring{write_log::sizes_of(superblock), contents.tail(), contents.end()};
  const std::vector<Range> ranges = ranges_of(contents);
  const Changed changed = sum_of(ranges);
  if (json) {
    const nlohmann::json document{{"report", "log_verify"},
                                  {"version", 1},
                                  {"log", path},
                                  {"ok", true},
                                  {"blocks", blocks_of(contents)},
                                  {"used_bytes", ring.used()},
                                  {"ring_bytes", ring.bytes()},
                                  {"data_bytes", changed.data.value()},
                                  {"zeroed_bytes", changed.zeros.value()}};
    print_json(document);
    return;
  }
  if (ranges.empty()) {  // but for blocks without a change, which say that others are durable
    fmt::print("{} is whole and empty: the store has everything\n", printable(path));
    return;
  }
  fmt::print("{} is whole: {} blocks, {} of {}\n", printable(path), blocks_of(contents),
             bytes_text(ring.used()), bytes_text(ring.bytes()));
  fmt::print("  of the LUN it has {} of data, and {} that were zeroed\n",
             bytes_text(changed.data.value()), bytes_text(changed.zeros.value()));
}

void run(const Options& options) {
  const std::string path = path_of(options.log);
  Offline offline;
  OpenLog log{offline, path};
  const Result<write_log::Found> found = log.scan();
  if (!found.ok() && options.json) {
    const nlohmann::json document{{"report", "log_verify"},
                                  {"version", 1},
                                  {"log", path},
                                  {"ok", false},
                                  {"why", found.error().message}};
    print_json(document);
  }
  if (!found.ok()) {
    fail(found.error().message);
  }
  print(path, log.superblock(), found.value().contents, options.json);
}

}  // namespace

void add_log_verify(CLI::App& log) {
  CLI::App* const command = log.add_subcommand("verify", "read and verify all that it has");
  const auto options = std::make_shared<Options>();
  command->add_option("LOG", options->log, "the log's file or device")->required();
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
