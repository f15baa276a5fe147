// SPDX-License-Identifier: Apache-2.0
// ballastctl log relabel: writes the damaged label of a store anew, from its log.
#include <fmt/format.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "targetcli-config/ballastctl/log/paths.h"
#include "targetcli-config/ballastctl/log/store_label.h"
#include "targetcli-config/ballastctl/log/verbs.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

using backend::Label;
using write_log::Superblock;

struct Options {
  std::string log;
  std::string store;
  bool yes = false;
};

// A label that can be read is right, and may say that this log was given up.
void check_damaged(StoreLabel& store) {
  const Result<std::optional<Label>> read = store.read();
  if (read.ok()) {
    fail(
        fmt::format("the label of {} is not damaged{}; nothing was changed. \"ballastctl log "
                    "status LOG --store STORE\" compares it with a log",
                    store.name(), read.value().has_value() ? "" : ": there is none"));
  }
  if (read.error().errno_value != EINVAL) {
    fail(read.error().message);
  }
}

void run(const Options& options) {
  const std::string path = path_of(options.log);
  const Superblock its = read_superblock(path);
  const std::unique_ptr<StoreLabel> store = StoreLabel::take(options.store, its.lun);
  check_damaged(*store);
  fmt::print("The label of {} is damaged. The log {} says that it is the log of {} on {}.\n",
             printable(store->name()), printable(path), printable(its.store_name),
             printable(its.host));
  if (!options.yes) {
    fail(
        "nothing was changed: if that is this store, and it was not used without this log since, "
        "add --yes; else its data would be lost when the log is written to it");
  }
  const Label label{
      .store = its.store, .log = its.log, .owner = its.owner, .host = its.host, .path = path};
  if (const Result<void> written = store->write(label); !written.ok()) {
    fail(written.error().message);
  }
  fmt::print("{} needs this log now: open its LUN with log={}\n", printable(store->name()),
             printable(path));
}

}  // namespace

void add_log_relabel(CLI::App& log) {
  CLI::App* const command =
      log.add_subcommand("relabel", "write a store's damaged label anew, from its log");
  const auto options = std::make_shared<Options>();
  command->add_option("LOG", options->log, "the log's file or device")->required();
  command
      ->add_option("STORE", options->store, "the store's file or device, or rbd=pool/image[;key=…]")
      ->required();
  command->add_flag("--yes", options->yes, "do it: this is the log of that store");
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
