// SPDX-License-Identifier: Apache-2.0
// ballastctl log abandon: has a store do without a log that is lost.
#include <fmt/format.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/values.h"
#include "lib/write_log/let_go.h"
#include "targetcli-config/ballastctl/log/paths.h"
#include "targetcli-config/ballastctl/log/store_label.h"
#include "targetcli-config/ballastctl/log/verbs.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

using backend::Label;

struct Options {
  std::string store;
  std::string size;
  bool yes = false;
};

// The LUN's size, behind which a device has its label.
Bytes lun_size(const Options& options) {
  if (is_image(options.store) || !is_block_device(path_of(options.store))) {
    return Bytes{};
  }
  if (options.size.empty()) {
    throw CLI::ValidationError{
        "--size", fmt::format("is missing: {} is a device, whose label stands behind the LUN's "
                              "end; give the size that the LUN has in targetcli",
                              options.store)};
  }
  const Result<Bytes> size = config::parse_bytes("--size", options.size);
  if (!size.ok()) {
    throw CLI::ValidationError{size.error().message};
  }
  return size.value();
}

// The label that the store has from now on, and what is known of the log.
struct Plan {
  Label label;
  std::string log;
};

Plan plan_for(StoreLabel& store) {
  const Result<std::optional<Label>> read = store.read();
  if (!read.ok() && read.error().errno_value != EINVAL) {
    fail(read.error().message);
  }
  if (!read.ok()) {
    // Its log is not known. A store without an identity is not the one that any log has.
    return {.label = write_log::let_go(Label{}), .log = "a log that its damaged label names"};
  }
  const std::optional<Label>& label = read.value();
  if (!label.has_value() || !label->names_log()) {
    fail(
        fmt::format("{} needs no write log, so there is none to abandon: open its LUN without "
                    "log=",
                    store.name()));
  }
  return {.label = write_log::let_go(*label),
          .log = fmt::format("the log {} on {}", label->path, label->host)};
}

void run(const Options& options) {
  const std::unique_ptr<StoreLabel> store = StoreLabel::take(options.store, lun_size(options));
  const Plan plan = plan_for(*store);
  const std::string name = printable(store->name());
  fmt::print(
      "{} needs {}. Without it the store is older, as some power failure could have left "
      "it.\nWhat the log has and the store does not have, although it was acknowledged, is "
      "lost; the log is refused from then on.\nIf the log is still there, open the LUN with it, "
      "and nothing is lost.\n",
      name, printable(plan.log));
  if (!options.yes) {
    fail("nothing was changed: add --yes to abandon the log");
  }
  if (const Result<void> written = store->write(plan.label); !written.ok()) {
    fail(written.error().message);
  }
  fmt::print("The log is abandoned: open the LUN of {} without log=, or with a new log.\n", name);
}

}  // namespace

void add_log_abandon(CLI::App& log) {
  CLI::App* const command =
      log.add_subcommand("abandon", "have a store do without a log that is lost");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("STORE", options->store, "the store's file or device, or rbd=pool/image[;key=…]")
      ->required();
  command->add_option("--size", options->size, "of a device: the LUN's size, as in targetcli");
  command->add_flag("--yes", options->yes, "do it, and lose what the log has");
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
