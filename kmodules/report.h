// SPDX-License-Identifier: Apache-2.0
// The findings of ballast-kmod, as text for people and as JSON for programs. Pure: no system calls.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kmodules/modules.h"
#include "kmodules/tcmu.h"

namespace ballast::kmod {

struct ModuleFinding {
  Module module;
  State state;
};

struct Findings {
  Kernel kernel;
  std::vector<ModuleFinding> modules;
  bool configfs_mounted = false;
  std::string no_io_uring_because;  // one sentence; empty: it can be used
  std::optional<Tcmu> tcmu;
  std::string no_tcmu_because;  // one sentence, if `tcmu` is empty
};

// The exit codes of the process; kmodules/README.md documents them.
enum ExitCode : int {
  exit_ready = 0,
  exit_not_loaded = 1,  // `ballast-kmod load` would help
  exit_usage = 2,
  exit_missing = 3,  // this kernel lacks a required module, or io_uring
  exit_failed = 4,   // not root, or the kernel refused
};

// The exit code for a machine that exports LUNs: it needs the modules of role `target`,
// configfs and io_uring.
ExitCode verdict(const Findings& findings);

std::string as_text(const Findings& findings);
// One object, indented by two blanks, with a newline at the end. kmodules/README.md has the schema.
std::string as_json(const Findings& findings);

}  // namespace ballast::kmod
