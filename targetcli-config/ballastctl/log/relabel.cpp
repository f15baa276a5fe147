// SPDX-License-Identifier: Apache-2.0
// ballastctl log relabel: writes a label that a store has lost anew, from its log.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "targetcli-config/ballastctl/log/paths.h"
#include "targetcli-config/ballastctl/log/store_label.h"
#include "targetcli-config/ballastctl/log/verbs.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/text/talk.h"

namespace ballast::ctl {
namespace {

using backend::Label;
using write_log::Superblock;

struct Options {
  std::string log;
  std::string store;
  bool yes = false;
  bool json = false;
};

// In which way the store has lost its label.
enum class Lost { gone, damaged };

// A label that can be read is right, and may say that this log was given up: that ends in fail().
Lost what_is_lost(StoreLabel& store) {
  const Result<std::optional<Label>> read = store.read();
  if (read.ok() && read.value().has_value()) {
    fail(
        fmt::format("the label of {} is not damaged; nothing was changed. \"ballastctl log "
                    "status LOG --store STORE\" compares it with a log",
                    store.name()));
  }
  if (!read.ok() && read.error().errno_value != EINVAL) {
    fail(read.error().message);
  }
  return read.ok() ? Lost::gone : Lost::damaged;
}

std::string sentence_of(Lost lost, const std::string& store) {
  return lost == Lost::damaged
             ? fmt::format("The label of {} is damaged.", store)
             : fmt::format(
                   "{} has no label: it never had one, or it is a copy, or its end was cut off.",
                   store);
}

void run(const Options& options) {
  const std::string path = path_of(options.log);
  const Superblock its = read_superblock(path);
  const std::unique_ptr<StoreLabel> store = StoreLabel::take(options.store, its.lun);
  const Lost lost = what_is_lost(*store);
  fmt::print(talk(options.json), "{} The log {} says that it is the log of {} on {}.\n",
             printable(sentence_of(lost, store->name())), printable(path),
             printable(its.store_name), printable(its.host));
  if (!options.yes) {
    fail(
        "nothing was changed: if that is this store, no copy of an earlier time, and it was not "
        "used without this log since, add --yes; else its data would be lost when the log is "
        "written to it");
  }
  const Label label{
      .store = its.store, .log = its.log, .owner = its.owner, .host = its.host, .path = path};
  if (const Result<void> written = store->write(label); !written.ok()) {
    fail(written.error().message);
  }
  if (options.json) {
    print_json({{"version", 1},
                {"report", "log_relabel"},
                {"log", path},
                {"store", store->name()},
                {"host", its.host},
                {"owner", its.owner},
                {"label_before", lost == Lost::damaged ? "damaged" : "none"}});
    return;
  }
  fmt::print("{} needs this log now: open its LUN with log={}\n", printable(store->name()),
             printable(path));
}

}  // namespace

void add_log_relabel(CLI::App& log) {
  CLI::App* const command =
      log.add_subcommand("relabel", "write a damaged or lost label of a store anew, from its log");
  const auto options = std::make_shared<Options>();
  command->add_option("LOG", options->log, "the log's file or device")->required();
  command
      ->add_option("STORE", options->store, "the store's file or device, or rbd=pool/image[;key=…]")
      ->required();
  command->add_flag("--yes", options->yes, "do it: this is the log of that store");
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
