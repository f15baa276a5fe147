// SPDX-License-Identifier: Apache-2.0
// ballastctl log drain: writes all that a log has to its store, and lets the log go; or has an open
// LUN do so.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "lib/write_log/let_go.h"
#include "lib/write_log/write_log.h"
#include "targetcli-config/ballastctl/log/offline.h"
#include "targetcli-config/ballastctl/log/online.h"
#include "targetcli-config/ballastctl/log/paths.h"
#include "targetcli-config/ballastctl/log/verbs.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/text/talk.h"

namespace ballast::ctl {
namespace {

using backend::Label;
using write_log::Superblock;
using write_log::WriteLog;

struct Options {
  std::string log;  // or the LUN
  std::string store;
  bool let_go = false;
  bool json = false;
};

// `lun`: the name of an open LUN; null: it is closed.
nlohmann::ordered_json document(const nlohmann::ordered_json& lun, const std::string& log,
                                const std::string& store, bool let_go) {
  return {{"version", 1}, {"report", "log_drain"}, {"lun", lun},
          {"log", log},   {"store", store},        {"let_go", let_go}};
}

// The label of a device is behind the LUN's end, and a file may be longer than the LUN is now.
OpenStore::Wanted store_at(const std::string& path, const Superblock& superblock) {
  const std::uint64_t block = superblock.block;
  const Bytes size =
      is_block_device(path) ? superblock.lun : Bytes{size_at(path).value() / block * block};
  if (size == Bytes{}) {
    fail(fmt::format("{} is empty, so it is not the store of this log: check the path", path));
  }
  return {.path = path,
          .size = size,
          .block = Bytes{block},
          .cache = backend::CacheMode::buffered,
          .thread = 0};
}

// Returns the label of the store, which names this log.
Label check_label(const std::string& path, const std::optional<Label>& label,
                  const std::string& log, const Superblock& superblock) {
  if (!label.has_value() || !label->names_log()) {
    const bool went = label.has_value() && label->store == superblock.store;
    fail(fmt::format("{} was not written to {}, which {}: {}", log, path,
                     went ? "was let go from this log before, and may have newer data"
                          : "has no label that names a log",
                     went ? "use the store as it is"
                          : "check whether it is the log's store; if that has lost its label, run "
                            "\"ballastctl log relabel\""));
  }
  if (label->log != superblock.log) {
    fail(
        fmt::format("{} was not written to {}, which needs another log, {} on {}: this one is of "
                    "the store {} on {}",
                    log, path, label->path, label->host, superblock.store_name, superblock.host));
  }
  return *label;
}

Result<std::unique_ptr<WriteLog>> open(Offline& offline, OpenLog& log, OpenStore& store,
                                       const Label& label) {
  const Superblock& its = log.superblock();
  WriteLog::Options options;
  options.identity = {.log = label.log,
                      .store = label.store,
                      .owner = label.owner,
                      .lun = its.lun,
                      .block = its.block,
                      .size = {}};
  options.host = its.host;
  options.store_name = its.store_name;
  return offline.run(WriteLog::open(log.backend(), store.backend(), options));
}

// Of a LUN that is closed.
void drain_offline(const Options& options) {
  const std::string log_path = path_of(options.log);
  const std::string store_path = path_of(options.store);
  Offline offline;
  OpenLog log{offline, log_path};
  OpenStore store{offline, store_at(store_path, log.superblock())};
  const Label label = check_label(store_path, store.label(), log_path, log.superblock());
  Result<std::unique_ptr<WriteLog>> opened = open(offline, log, store, label);
  if (!opened.ok()) {
    fail(opened.error().message);
  }
  WriteLog& contents = *opened.value();
  const IoStatus drained = offline.run(contents.drain());
  offline.run(contents.close());
  if (!ok(drained)) {
    fail(
        fmt::format("{} was not written to {} as a whole ({}): what is left stays in the log, "
                    "which the store still needs; \"ballastctl log verify {}\" says more",
                    log_path, store_path, to_string(drained), log_path));
  }
  const Result<void> let_go = offline.run(store.backend().write_label(write_log::let_go(label)));
  if (!let_go.ok()) {
    fail(
        fmt::format("{} has all that was in {}, but its label still names the log: {}; drain it "
                    "again",
                    store_path, log_path, let_go.error().message));
  }
  if (options.json) {
    print_json(document(nullptr, log_path, "file=" + store_path, true));
    return;
  }
  fmt::print("{} has all that was in {}, and needs no log now\n", printable(store_path),
             printable(log_path));
  fmt::print("  open its LUN without log=; {} can be removed\n", printable(log_path));
}

// Of a LUN that is open.
void drain_lun(const Options& options) {
  const OnlineLog done = drain_online(options.log, options.let_go, talk(options.json));
  const auto device = done.log().at("device").get<std::string>();
  const std::string lun = printable(options.log);
  if (options.json) {
    print_json(document(options.log, path_of(device), done.lun.at("backend").get<std::string>(),
                        done.is_let_go()));
  } else if (done.is_let_go()) {
    fmt::print("{}: its store has everything and needs no log; changes go there directly\n", lun);
    fmt::print("  make the LUN anew without log=, when it suits; {} is not used any more\n",
               printable(device));
  } else {
    fmt::print("{}: the store has all that was in the log; the LUN goes on with it\n", lun);
  }
}

void run(const Options& options) {
  if (!options.store.empty()) {
    drain_offline(options);
    return;
  }
  if (!may_be_lun(options.log)) {
    throw CLI::ValidationError{
        "STORE", fmt::format("is missing: give the store of the log {} too, or the name of a LUN "
                             "that is open, alone",
                             options.log)};
  }
  drain_lun(options);
}

}  // namespace

void add_log_drain(CLI::App& log) {
  CLI::App* const command = log.add_subcommand("drain", "write all that it has to its store");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("LOG", options->log,
                   "the name of an open LUN's backstore; of a closed LUN, its log's file or device")
      ->required();
  CLI::Option* const store = command->add_option(
      "STORE", options->store, "of a closed LUN, its store's file or device; its log is let go");
  command->add_flag("--let-go", options->let_go, "and then have the LUN work without a log")
      ->excludes(store);
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
