// SPDX-License-Identifier: Apache-2.0
// ballastctl log status: of an open LUN, what the daemon knows of its log; else what the superblock
// of the log says.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lib/backend/file_label.h"
#include "targetcli-config/ballastctl/log/online.h"
#include "targetcli-config/ballastctl/log/paths.h"
#include "targetcli-config/ballastctl/log/verbs.h"
#include "targetcli-config/ballastctl/text/log_text.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

using backend::Label;
using write_log::Superblock;

struct Options {
  std::string log;
  std::string store;
  bool json = false;
};

// How the store's label and the log stand to each other.
struct Match {
  const char* word;  // for programs
  std::string text;
};

Match match(const std::string& store, const std::optional<Label>& label,
            const Superblock& superblock) {
  if (!label.has_value()) {
    return {"none", fmt::format("{} has no label: it never had a write log, or is a copy", store)};
  }
  if (label->store != superblock.store) {
    return {"other_store", fmt::format("{} is not the store of this log", store)};
  }
  if (!label->names_log()) {
    return {"needs_none",
            fmt::format("{} needs no log: its log was drained, failed or was abandoned", store)};
  }
  if (label->log != superblock.log) {
    return {"other_log",
            fmt::format("{} needs another log: {} on {}", store, label->path, label->host)};
  }
  if (label->owner != superblock.owner) {
    return {"other_owner",
            fmt::format("{} has owner {}: this log was given up", store, label->owner)};
  }
  return {"this_log", fmt::format("{} needs this log", store)};
}

// The blocks of the log that the superblock knows of; there may be newer ones.
std::uint64_t known_blocks(const Superblock& its) {
  return its.durable >= its.tail.sequence ? its.durable - its.tail.sequence + 1 : 0;
}

std::string contents_text(const Superblock& its, bool in_use) {
  if (its.clean) {
    return "clean: the store has everything";
  }
  const std::string blocks = fmt::format("{} of its blocks at least", known_blocks(its));
  return in_use
             ? fmt::format("in use; as of the last superblock the store does not have {}", blocks)
             : fmt::format(
                   "not clean: the store does not have {}; \"ballastctl log verify\" "
                   "counts them",
                   blocks);
}

nlohmann::json document(const std::string& path, const Superblock& its, bool in_use,
                        const std::optional<Match>& label) {
  return {{"report", "log_status"},
          {"version", 1},
          {"log", path},
          {"log_bytes", log_bytes(its).value()},
          {"store", its.store_name},
          {"host", its.host},
          {"owner", its.owner},
          {"openings", its.incarnation},
          {"lun_bytes", its.lun.value()},
          {"block_bytes", its.block},
          {"in_use", in_use},
          {"clean", its.clean},
          {"known_blocks", its.clean ? 0 : known_blocks(its)},
          {"label", label.has_value() ? nlohmann::json(label->word) : nlohmann::json{}}};
}

void show(const OnlineLog& online, bool json) {
  if (json) {
    print_json(nlohmann::ordered_json::parse(online.document));
  } else {
    fmt::print("{}", status_text(online.lun));
  }
}

// The path of the log of a LUN, from what is open now, or from its configuration. Nothing: the LUN
// is open, and its status was shown.
std::optional<std::string> path_or_show(const Options& options) {
  if (!may_be_lun(options.log)) {
    const std::string path = path_of(options.log);
    const std::optional<OnlineLog> online =
        is_in_use(path) && options.store.empty() ? lun_with_log(path) : std::nullopt;
    if (!online.has_value()) {
      return path;
    }
    show(*online, options.json);
    return std::nullopt;
  }
  const Result<OnlineLog> online = log_of_lun(options.log);
  if (online.ok() && online.value().log().is_null()) {
    fail(fmt::format("LUN {} has no write log", options.log));
  }
  if (online.ok()) {
    show(online.value(), options.json);
    return std::nullopt;
  }
  const Error& why = online.error();
  std::optional<std::string> path = configured_log(options.log);
  if (!path.has_value()) {
    fail(fmt::format("{}; of a LUN that is closed, give the path of its log", why.message));
  }
  return path;
}

void run(const Options& options) {
  const std::optional<std::string> found = path_or_show(options);
  if (!found.has_value()) {
    return;
  }
  const std::string& path = *found;
  const bool in_use = is_in_use(path);
  const Superblock its = read_superblock(path);
  std::optional<Match> label;
  if (!options.store.empty()) {
    const std::string store = path_of(options.store);
    const Result<std::optional<Label>> read = backend::read_label(store, its.lun);
    if (!read.ok()) {
      fail(read.error().message);
    }
    label = match(store, read.value(), its);
  }
  if (options.json) {
    print_json(document(path, its, in_use, label));
    return;
  }
  fmt::print("{}: the write log of {} on {}\n", printable(path), printable(its.store_name),
             printable(its.host));
  fmt::print("  owner {}; openings: {}\n", its.owner, its.incarnation);
  fmt::print("  LUN of {} in blocks of {} bytes; log of {}\n", bytes_text(its.lun.value()),
             its.block, bytes_text(log_bytes(its).value()));
  fmt::print("  {}\n", contents_text(its, in_use));
  if (label.has_value()) {
    fmt::print("  {}\n", printable(label->text));
  }
}

}  // namespace

void add_log_status(CLI::App& log) {
  CLI::App* const command = log.add_subcommand(
      "status", "what waits in it, or, of a closed LUN, what its superblock says");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("LOG", options->log,
                   "the name of the LUN's backstore, or the log's file or device")
      ->required();
  command->add_option("--store", options->store,
                      "also say whether the label of this file or device names the log");
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
