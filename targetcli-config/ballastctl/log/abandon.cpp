// SPDX-License-Identifier: Apache-2.0
// ballastctl log abandon: has a store do without a log that is lost.
#include <fmt/format.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "lib/backend/file_label.h"
#include "lib/backend/file_take.h"
#include "lib/base/values.h"
#include "lib/write_log/let_go.h"
#include "targetcli-config/ballastctl/log/paths.h"
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
Bytes lun_size(const Options& options, const std::string& path) {
  if (!is_block_device(path)) {
    return Bytes{};
  }
  if (options.size.empty()) {
    throw CLI::ValidationError{
        "--size", fmt::format("is missing: {} is a device, whose label stands behind the LUN's "
                              "end; give the size that the LUN has in targetcli",
                              path)};
  }
  const Result<Bytes> size = config::parse_bytes("--size", options.size);
  if (!size.ok()) {
    throw CLI::ValidationError{size.error().message};
  }
  return size.value();
}

// Takes the store as a LUN does, so that none has it meanwhile.
backend::Taken take(const std::string& path) {
  const bool device = is_block_device(path);
  const backend::FileConfig config{
      .path = path, .cache = device ? backend::CacheMode::direct : backend::CacheMode::buffered};
  backend::Expected there;
  there.creation = backend::Creation::saved;
  Result<backend::Taken> taken = backend::take_store(config, Bytes{}, there);
  if (!taken.ok()) {
    fail(taken.error().message);
  }
  return std::move(taken).value();
}

// Writing a label behind a wrong end would write it over the LUN's data.
void check_size(const backend::LabelledFile& file) {
  const Result<bool> there = backend::has_label_behind_lun(file);
  if (!there.ok()) {
    fail(there.error().message);
  }
  if (!there.value()) {
    fail(
        fmt::format("there is no label of a write log behind the first {} of {}: check --size, "
                    "and give the size that the LUN had when its log was made; nothing was "
                    "changed",
                    config::format_bytes(file.lun.now), file.path));
  }
}

// The label that the store has from now on, and what is known of the log.
struct Plan {
  Label label;
  std::string log;
};

Plan plan_for(const backend::LabelledFile& file) {
  const Result<std::optional<Label>> read = backend::read_label(file);
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
                    file.path));
  }
  return {.label = write_log::let_go(*label),
          .log = fmt::format("the log {} on {}", label->path, label->host)};
}

void run(const Options& options) {
  const std::string path = path_of(options.store);
  const Bytes lun = lun_size(options, path);
  const backend::Taken taken = take(path);
  const backend::LabelledFile file{
      .fd = taken.fd.get(), .block_device = taken.block_device, .path = path, .lun = {.now = lun}};
  if (taken.block_device) {
    check_size(file);
  }
  const Plan plan = plan_for(file);
  fmt::print(
      "{} needs {}. Without it the store is older, as some power failure could have left "
      "it.\nWhat the log has and the store does not have, although it was acknowledged, is "
      "lost; the log is refused from then on.\nIf the log is still there, \"ballastctl log "
      "drain\" loses nothing.\n",
      printable(path), printable(plan.log));
  if (!options.yes) {
    fail("nothing was changed: add --yes to abandon the log");
  }
  if (const Result<void> written = backend::write_label(file, plan.label); !written.ok()) {
    fail(written.error().message);
  }
  fmt::print("The log is abandoned: open the LUN of {} without log=, or with a new log.\n",
             printable(path));
}

}  // namespace

void add_log_abandon(CLI::App& log) {
  CLI::App* const command =
      log.add_subcommand("abandon", "have a store do without a log that is lost");
  const auto options = std::make_shared<Options>();
  command->add_option("STORE", options->store, "the store's file or device")->required();
  command->add_option("--size", options->size, "of a device: the LUN's size, as in targetcli");
  command->add_flag("--yes", options->yes, "do it, and lose what the log has");
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
