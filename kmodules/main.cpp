// SPDX-License-Identifier: Apache-2.0
// ballast-kmod: tells whether the kernel modules are there and what this kernel's TCMU can do.
// kmodules/README.md is its manual.
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

#include "kmodules/io_uring.h"
#include "kmodules/report.h"
#include "lib/base/version.h"

namespace ballast::kmod {
namespace {

constexpr const char* configfs_path = "/sys/kernel/config";
constexpr long configfs_magic = 0x62656570;  // CONFIGFS_MAGIC, fs/configfs/mount.c

bool configfs_mounted() {
  struct statfs found {};
  return ::statfs(configfs_path, &found) == 0 && found.f_type == configfs_magic;
}

Result<void> mount_configfs() {
  if (configfs_mounted() || ::mount("configfs", configfs_path, "configfs", 0, nullptr) == 0) {
    return {};
  }
  const int reason = errno;
  return Error{reason, fmt::format("configfs cannot be mounted at {}: {}", configfs_path,
                                   std::strerror(reason))};
}

Findings look(const Library& library, bool probe) {
  Findings findings;
  findings.kernel = running_kernel();
  for (const Module& module : modules()) {
    findings.modules.push_back({module, library.state_of(module.name)});
  }
  findings.configfs_mounted = configfs_mounted();
  findings.no_io_uring_because = look_for_io_uring();
  Result<Tcmu> tcmu = examine(Roots{}, probe);
  if (tcmu) {
    findings.tcmu = std::move(tcmu).value();
  } else {
    findings.no_tcmu_because = tcmu.error().message;
  }
  return findings;
}

// Loads the missing modules of the chosen roles, and mounts configfs. Every failure is a line on
// standard error and makes the result exit_failed.
ExitCode load(const Library& library, bool initiator, bool lab) {
  bool failed = false;
  for (const Module& module : modules()) {
    const bool wanted = module.role == Role::target ||
                        (module.role == Role::initiator && initiator) ||
                        (module.role == Role::lab && lab);
    if (!wanted || library.state_of(module.name) != State::loadable) {
      continue;
    }
    if (::geteuid() != 0) {
      fmt::print(stderr, "ballast-kmod: loading {} needs root: run sudo ballast-kmod load\n",
                 module.name);
      return exit_failed;
    }
    if (const Result<void> loaded = library.load(module.name); !loaded) {
      fmt::print(stderr, "ballast-kmod: {}\n", loaded.error().message);
      failed = true;
    }
  }
  // If the kernel has no configfs at all, the report says so.
  if (library.state_of("configfs") == State::missing) {
    return failed ? exit_failed : exit_ready;
  }
  if (const Result<void> mounted = mount_configfs(); !mounted) {
    fmt::print(stderr, "ballast-kmod: {}\n", mounted.error().message);
    failed = true;
  }
  return failed ? exit_failed : exit_ready;
}

int run(int argc, char** argv) {
  CLI::App app{
      "Checks and loads the kernel modules that Ballast needs, and tells what this "
      "kernel's TCMU can do.\n"
      "Exit: 0 ready, 1 not loaded yet, 2 wrong use, 3 this kernel lacks a module or io_uring, "
      "4 not root or the kernel refused.",
      "ballast-kmod"};
  bool json = false, probe = false, initiator = false, lab = false;
  app.failure_message([](const CLI::App* of, const CLI::Error& error) {
    return "ballast-kmod: " + CLI::FailureMessage::simple(of, error);
  });
  app.set_version_flag("--version", fmt::format("ballast-kmod {}", version));
  app.require_subcommand(0, 1);
  CLI::App* const check = app.add_subcommand("check", "look, and change nothing (the default)");
  CLI::App* const loading =
      app.add_subcommand("load", "load missing modules and mount configfs (needs root)");
  for (CLI::App* const command : {&app, check, loading}) {
    command->add_flag("--json", json, "print one JSON document, for programs");
    command->add_flag(
        "--probe", probe,
        "where no LUN exists, create one for a moment (needs root, and tcmu-runner stopped)");
  }
  loading->add_flag("--initiator", initiator, "also the modules that an initiator needs");
  loading->add_flag("--lab", lab, "also the modules that only tests need");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_ready : exit_usage;
  }

  const Result<Library> library = Library::open();
  if (!library) {
    fmt::print(stderr, "ballast-kmod: {}\n", library.error().message);
    return exit_failed;
  }
  const ExitCode loaded = *loading ? load(library.value(), initiator, lab) : exit_ready;
  const Findings findings = look(library.value(), probe);
  const std::string report = json ? as_json(findings) : as_text(findings);
  std::fputs(report.c_str(), stdout);
  return loaded != exit_ready ? loaded : verdict(findings);
}

}  // namespace
}  // namespace ballast::kmod

int main(int argc, char** argv) {
  // File system and JSON calls may run out of memory. Then a message is better than an abort.
  try {
    return ballast::kmod::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "ballast-kmod: {}\n", error.what());
    return ballast::kmod::exit_failed;
  }
}
