// SPDX-License-Identifier: Apache-2.0
// ballastctl drill: a LUN of its own whose store freezes, to see whether this machine outlives it.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <thread>

#include "lib/base/saved_configuration.h"
#include "lib/base/unique_fd.h"
#include "lib/base/values.h"
#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/drill/guardian.h"
#include "targetcli-config/ballastctl/drill/load.h"
#include "targetcli-config/ballastctl/drill/onlooker.h"
#include "targetcli-config/ballastctl/drill/rig.h"
#include "targetcli-config/ballastctl/drill/verdict.h"
#include "targetcli-config/ballastctl/machine/settings.h"
#include "targetcli-config/ballastctl/text/output.h"
#include "targetcli-config/ballastctl/text/talk.h"
#include "targetcli-config/ballastctl/watch/netlink.h"

namespace ballast::ctl {
namespace {

using namespace drill;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr Nanoseconds shortest_freeze = 5s, longest_freeze = 10min;
constexpr Bytes smallest{16 << 20}, largest{1 << 30};
constexpr Nanoseconds patience = 5s;         // with the daemon
constexpr Nanoseconds warm_up = 3s;          // of the load, before the freeze
constexpr Nanoseconds after_the_thaw = 60s;  // until the load has gone on, and until it has ended
constexpr std::size_t most_messages = 40;

// Stays, unlike the folder of a drill.
constexpr const char* locked = "/var/lib/ballast";

struct Options {
  std::string freeze = "90s", size = "64MiB";
  bool yes = false, clean_up = false, json = false;
};

volatile sig_atomic_t interrupted = 0;  // a signal has asked for the drill's end

// The options' values. Wrong ones are wrong use.
struct Wanted {
  Nanoseconds freeze;
  Bytes size;
};

Wanted wanted_by(const Options& options) {
  const Result<Nanoseconds> freeze = config::parse_duration("--freeze", options.freeze);
  const Result<Bytes> size = config::parse_bytes("--size", options.size);
  if (!freeze || !size) {
    throw CLI::ValidationError(freeze ? size.error().message : freeze.error().message);
  }
  if (freeze.value() < shortest_freeze || freeze.value() > longest_freeze) {
    throw CLI::ValidationError(fmt::format("--freeze is {}: give {} to {}", options.freeze,
                                           config::format_duration(shortest_freeze),
                                           config::format_duration(longest_freeze)));
  }
  if (size.value() < smallest || size.value() > largest || size.value().value() % load_block != 0) {
    throw CLI::ValidationError(fmt::format("--size is {}: give {} to {}, in whole KiB times 4",
                                           options.size, config::format_bytes(smallest),
                                           config::format_bytes(largest)));
  }
  return {freeze.value(), size.value()};
}

// Nobody else may make or remove what a drill makes while this is held.
UniqueFd alone(const Files& files) {
  Result<UniqueFd> lock = files.lock(locked);
  if (!lock && lock.error().errno_value == EWOULDBLOCK) {
    fail("another drill is running, or is being removed: try again when it has ended");
  }
  return or_fail(std::move(lock));
}

// Why a freeze would do harm on this machine as it is now; or nothing.
std::optional<std::string> harm(const Files& files, Nanoseconds freeze,
                                const std::vector<nlohmann::json>& luns) {
  const Machine settings = machine(files);
  const std::chrono::seconds hung{settings.hung_task_timeout.number().value_or(0)};
  if (settings.hung_task_panic.number().value_or(0) != 0 && hung.count() > 0 && freeze >= hung) {
    return fmt::format(
        "the kernel would panic: kernel.hung_task_panic is set, and a program that waits for the "
        "frozen disk is hung after {}: give a shorter --freeze, or sysctl kernel.hung_task_panic=0",
        config::format_duration(hung));
  }
  for (const nlohmann::json& lun : luns) {
    if (lun.at("state") == "stalled") {
      return fmt::format(
          "LUN {} is stalled now, so this is no drill: ballastctl inflight {} says what it waits "
          "for",
          lun.at("name").get<std::string>(), lun.at("name").get<std::string>());
    }
  }
  return std::nullopt;
}

void announce(const Options& options, const Wanted& wanted, std::uint16_t port) {
  std::FILE* const out = talk(options.json);
  fmt::print(
      out,
      "A fire drill on this machine:\n"
      "- makes a LUN of {}, {}, on a file in {}, and exports it on 127.0.0.1:{} alone;\n"
      "- logs in to it, writes and reads, and freezes its store for {}. No other LUN is touched;\n"
      "- watches all LUNs and sessions meanwhile, and says who has outlived it;\n"
      "- thaws and removes everything, even if it is killed.\n"
      "Programs that look at every disk (pvs, blkid, fdisk -l) wait until the thaw. Do not save\n"
      "targetcli's configuration meanwhile.\n",
      config::format_bytes(wanted.size), name, folder, port,
      config::format_duration(wanted.freeze));
  if (options.yes) {
    return;
  }
  if (::isatty(STDIN_FILENO) == 0) {
    fail("nothing was done: add --yes to begin the drill");
  }
  fmt::print(out, "Begin? [y/N] ");
  std::fflush(out);
  const int answer = std::getchar();
  if (answer != 'y' && answer != 'Y') {
    fail("nothing was done");
  }
}

// The kernel's messages from now on.
class KernelLog {
 public:
  KernelLog() : file_{::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)} {
    if (file_) {
      ::lseek(file_.get(), 0, SEEK_END);
    }
  }
  void take(std::vector<std::string>& into) const {
    std::array<char, 8192> record;
    for (;;) {
      const ssize_t count = ::read(file_.get(), record.data(), record.size());
      if (count < 0 && errno == EPIPE) {
        continue;  // older records were overwritten
      }
      if (count <= 0) {
        return;
      }
      const std::string_view text{record.data(), static_cast<std::size_t>(count)};
      if (auto message = kernel_message(text); message && into.size() < most_messages) {
        into.push_back(std::move(*message));
      }
    }
  }

 private:
  UniqueFd file_;
};

// Looks once a second until `end`, `enough`, or a signal.
class Watching {
 public:
  explicit Watching(const Files& files) : files_{files}, onlooker_{files, name} {
    if (Result<std::unique_ptr<watch_events::Socket>> socket = watch_events::Socket::of_initiator();
        socket.ok()) {
      errors_ = std::move(socket).value();
    }
  }
  void until(
      Clock::time_point end, const std::function<bool()>& enough = [] { return false; }) {
    for (Clock::time_point next = Clock::now(); interrupted == 0 && Clock::now() < end && !enough();
         next += 1s) {
      look();
      std::this_thread::sleep_until(std::min(std::max(next + 1s, Clock::now()), end));
    }
  }
  void look() {
    onlooker_.look(ask(watch::bus::stats, "", patience));
    if (errors_) {
      onlooker_.hear(errors_->take({}));
    }
    kernel_.take(messages_);
  }
  void report_to(Verdict& verdict) const {
    verdict.witnesses = onlooker_.witnesses();
    verdict.kernel = messages_;
  }

 private:
  const Files& files_;
  Onlooker onlooker_;
  std::unique_ptr<watch_events::Socket> errors_;  // of connections; null: not to be heard
  KernelLog kernel_;
  std::vector<std::string> messages_;
};

// From the freeze to the end of the load. An error says what the drill could not do.
Result<void> freeze_and_watch(const Files& files, const Options& options, const Wanted& wanted,
                              Guardian& guardian, const std::string& disk, Verdict& verdict) {
  Result<Load> started = Load::start("/dev/" + disk, wanted.size);
  if (!started) {
    return started.error();
  }
  Load& load = started.value();
  Watching watching{files};
  watching.until(Clock::now() + warm_up);
  if (const LoadSeen seen = load.seen(); seen.writes == 0 && interrupted == 0) {
    return Error{EIO, fmt::format("nothing could be written to /dev/{} before the freeze", disk)};
  }
  if (Result<void> watched = guardian.watch_the_freeze(); !watched) {
    return watched;
  }
  const Clock::time_point begin = Clock::now();
  if (Result<void> frozen = drill::freeze(); !frozen) {
    return frozen;
  }
  fmt::print(talk(options.json), "The store is frozen for {}.\n",
             config::format_duration(wanted.freeze));
  std::fflush(talk(options.json));
  watching.until(begin + wanted.freeze);
  if (Result<void> thawed = thaw(files); !thawed) {
    return thawed;
  }
  verdict.frozen_for = Clock::now() - begin;
  fmt::print(talk(options.json), "It is thawed.\n");
  std::fflush(talk(options.json));
  load.mark();
  watching.until(Clock::now() + after_the_thaw, [&] { return load.behind() == 0; });
  verdict.behind = interrupted == 0 ? load.behind() : 0;
  const bool all_ended = load.finish(interrupted == 0 ? after_the_thaw : 5s);
  watching.look();
  verdict.load = load.seen();
  verdict.behind = std::max<std::size_t>(verdict.behind, all_ended || interrupted != 0 ? 0 : 1);
  watching.report_to(verdict);
  return {};
}

// Somebody may have saved meanwhile, or left targetcli, which saves.
void look_at_what_is_saved(const Files& files, Verdict& verdict) {
  for (const char* const path : saved_configuration_files) {
    if (files.read(path).value_or("").find(name) != std::string::npos) {
      verdict.notes.push_back(fmt::format(
          "somebody has saved the configuration during the drill, and {} has the drill's LUN: run "
          "targetcli saveconfig",
          path));
    }
  }
}

void show(const Options& options, const Verdict& verdict) {
  if (options.json) {
    print_json(as_json(verdict));
  } else {
    std::fputs(as_text(verdict).c_str(), stdout);
  }
}

void hold(const Files& files, const Options& options, const Wanted& wanted) {
  const UniqueFd lock = alone(files);
  if (const std::vector<std::string> left = leftovers(files); !left.empty()) {
    fail(fmt::format("an earlier drill has left {}: ballastctl drill --clean-up removes that",
                     fmt::join(left, ", ")));
  }
  const std::uint16_t port = or_fail(free_port());
  announce(options, wanted, port);
  // Before the first question to the daemon, which starts threads.
  Guardian guardian = or_fail(Guardian::post(files, wanted.freeze));
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    ::sigaction(signal, &action, nullptr);
  }
  Verdict verdict;
  verdict.freeze = wanted.freeze;
  verdict.size = wanted.size;
  const auto held = [&]() -> Result<void> {
    const Result<std::string> stats = ask(watch::bus::stats, "");
    const Result<Reading> reading = stats ? read_answer(stats.value()) : stats.error();
    if (!reading) {
      return reading.error();
    }
    if (const auto why = harm(files, wanted.freeze, reading.value().luns)) {
      return Error{EBUSY, *why};
    }
    const Result<std::string> disk = make(files, wanted.size, port);
    if (!disk) {
      return disk.error();
    }
    fmt::print(talk(options.json), "The LUN is there, as /dev/{}; writing and reading.\n",
               disk.value());
    std::fflush(talk(options.json));
    return freeze_and_watch(files, options, wanted, guardian, disk.value(), verdict);
  }();
  verdict.left = guardian.dismiss();
  verdict.is_interrupted = interrupted != 0;
  look_at_what_is_saved(files, verdict);
  if (!held) {
    for (const std::string& left : verdict.left) {
      fmt::print(stderr, "ballastctl: {}\n", printable(left));
    }
    fail(interrupted != 0 ? std::string{"the drill was interrupted; what it had made is removed"}
                          : held.error().message);
  }
  show(options, verdict);
  if (!verdict.outlived() || !verdict.left.empty()) {
    finish_output();
    throw CLI::RuntimeError(exit_failed);
  }
}

void clean_up(const Files& files) {
  const UniqueFd lock = alone(files);
  const std::vector<std::string> before = leftovers(files);
  const std::vector<std::string> problems = remove_all(files);
  for (const std::string& each : before) {
    fmt::print("removed: {}\n", printable(each));
  }
  if (before.empty()) {
    fmt::print("nothing to remove: no drill has left anything\n");
  }
  if (const std::vector<std::string> left = leftovers(files); !left.empty()) {
    fail(fmt::format("{} could not be removed: {}", fmt::join(left, ", "),
                     fmt::join(problems, "; ")));
  }
}

void run(const Options& options) {
  const Files files = Files::of_this_machine();
  const Wanted wanted = wanted_by(options);
  if (::geteuid() != 0) {
    fail("a drill makes devices and a target, which needs root: sudo ballastctl drill");
  }
  if (options.clean_up) {
    clean_up(files);
    return;
  }
  if (const auto missing = lacking(files)) {
    fail(*missing);
  }
  hold(files, options, wanted);
}

}  // namespace

void add_drill(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "drill",
      "freeze the store of a LUN made for it, and say who has outlived it; exit 0: all have");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("--freeze", options->freeze,
                   "how long the store is frozen: 5s to 10min; default: 90s")
      ->type_name("DURATION");
  command->add_option("--size", options->size, "the size of the LUN: 16MiB to 1GiB; default: 64MiB")
      ->type_name("SIZE");
  command->add_flag("--yes", options->yes, "begin without asking");
  command->add_flag("--clean-up", options->clean_up, "only remove what a drill has left behind");
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace ballast::ctl
