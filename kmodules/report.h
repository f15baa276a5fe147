// SPDX-License-Identifier: Apache-2.0
// What ballast-kmod found, for people and for programs. Pure: no system calls.
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
  std::optional<Tcmu> tcmu;
  std::string no_tcmu_because;  // where tcmu is empty
};

// Process exit codes; documented in kmodules/README.md.
enum ExitCode : int {
  exit_ready = 0,
  exit_not_loaded = 1,  // `ballast-kmod load` would help
  exit_usage = 2,
  exit_missing = 3,  // this kernel lacks a module that is needed
  exit_failed = 4,   // not root, or the kernel refused
};

// What a machine that exports LUNs lacks: its modules (role target) and configfs.
ExitCode verdict(const Findings& findings);

std::string as_text(const Findings& findings);
// One object, indented by two, newline at the end. Schema: kmodules/README.md.
std::string as_json(const Findings& findings);

}  // namespace ballast::kmod
