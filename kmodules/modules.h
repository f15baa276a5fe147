// SPDX-License-Identifier: Apache-2.0
// The kernel modules Ballast stands on: which, why, and what this kernel has of them.
//
// State comes from libkmod (what modprobe itself uses) and from /sys/module, never from parsing
// lsmod. Single-threaded.
#pragma once

#include <libkmod.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace ballast::kmod {

// Who needs a module. `target` ones are required; the others are reported and loaded on request.
enum class Role { target, initiator, lab };

struct Module {
  const char* name;
  Role role;
  const char* config;  // the kernel's build option that makes it
  const char* reason;  // one phrase, for people
};

// Every module we name, in the order in which they are loaded.
std::span<const Module> modules();

enum class State {
  builtin,   // part of the kernel image
  loaded,    // a module, and running
  loadable,  // a module file is there
  missing,   // neither
};

const char* to_string(State state) noexcept;
const char* to_string(Role role) noexcept;

// What is known of the running kernel, apart from single modules.
struct Kernel {
  std::string release;         // as uname -r
  bool has_modules_directory;  // /lib/modules/<release> exists
  bool can_load_modules;       // /proc/modules exists: CONFIG_MODULES
};
Kernel running_kernel();

// What to do about a module that is missing; one sentence. Pure.
std::string advice(const Kernel& kernel, const Module& module);

class Library {
 public:
  // Fails only without memory.
  static Result<Library> open();

  State state_of(const char* name) const;
  // Loads the module and what it depends on; nothing to do is success. Needs CAP_SYS_MODULE.
  Result<void> load(const char* name) const;

 private:
  struct Release {
    void operator()(kmod_ctx* context) const noexcept { kmod_unref(context); }
  };
  explicit Library(kmod_ctx* context) : context_{context} {}
  std::unique_ptr<kmod_ctx, Release> context_;
};

}  // namespace ballast::kmod
