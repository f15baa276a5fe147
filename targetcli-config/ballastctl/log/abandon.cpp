// SPDX-License-Identifier: Apache-2.0
// ballastctl log abandon: has a store do without a log that is lost.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lib/base/values.h"
#include "lib/write_log/let_go.h"
#include "targetcli-config/ballastctl/log/paths.h"
#include "targetcli-config/ballastctl/log/store_label.h"
#include "targetcli-config/ballastctl/log/verbs.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/text/talk.h"

namespace ballast::ctl {
namespace {

using backend::Label;

struct Options {
  std::string store;
  std::string size;
  bool yes = false;
  bool json = false;
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

// The label that the store has from now on, and the one that it had; nothing: it is damaged.
struct Plan {
  Label label;
  std::optional<Label> before;

  // What is known of the log.
  std::string log() const {
    return before.has_value() ? fmt::format("the log {} on {}", before->path, before->host)
                              : "a log that its damaged label names";
  }
};

Plan plan_for(StoreLabel& store) {
  const Result<std::optional<Label>> read = store.read();
  if (!read.ok() && read.error().errno_value != EINVAL) {
    fail(read.error().message);
  }
  if (!read.ok()) {
    // Its log is not known. A store without an identity is not the one that any log has.
    return {.label = write_log::let_go(Label{}), .before = std::nullopt};
  }
  const std::optional<Label>& label = read.value();
  if (!label.has_value() || !label->names_log()) {
    fail(
        fmt::format("{} needs no write log, so there is none to abandon: open its LUN without "
                    "log=",
                    store.name()));
  }
  return {.label = write_log::let_go(*label), .before = label};
}

nlohmann::ordered_json document(const std::string& store, const Plan& plan) {
  nlohmann::ordered_json document{{"version", 1},    {"report", "log_abandon"},
                                  {"store", store},  {"log", nullptr},
                                  {"host", nullptr}, {"owner", plan.label.owner}};
  if (plan.before.has_value()) {
    document["log"] = plan.before->path;
    document["host"] = plan.before->host;
  }
  return document;
}

void run(const Options& options) {
  const std::unique_ptr<StoreLabel> store = StoreLabel::take(options.store, lun_size(options));
  const Plan plan = plan_for(*store);
  const std::string name = printable(store->name());
  fmt::print(
      talk(options.json),
      "{} needs {}. Without it the store is older, as some power failure could have left "
      "it.\nWhat the log has and the store does not have, although it was acknowledged, is "
      "lost; the log is refused from then on.\nIf the log is still there, open the LUN with it, "
      "and nothing is lost.\n",
      name, printable(plan.log()));
  if (!options.yes) {
    fail("nothing was changed: add --yes to abandon the log");
  }
  if (const Result<void> written = store->write(plan.label); !written.ok()) {
    fail(written.error().message);
  }
  if (options.json) {
    print_json(document(store->name(), plan));
    return;
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
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
