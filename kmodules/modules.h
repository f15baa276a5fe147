// SPDX-License-Identifier: Apache-2.0
// The kernel modules that Ballast needs: which, why, and which of them this kernel has.
//
// Their state comes from libkmod, which modprobe itself uses, and from /sys/module.
// Single-threaded.
#pragma once

#include <libkmod.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/result.h"

namespace ballast::kmod {

// The machine that needs a module. Ballast requires the modules of role `target`; it only reports
// the others, and loads them on request.
enum class Role { target, initiator, lab };

struct Module {
  const char* name;
  Role role;
  const char* config;  // the kernel's build option for it
  const char* reason;  // one phrase, for people
};

// Every module that Ballast knows of, in the order in which they are loaded.
std::span<const Module> modules();

enum class State {
  builtin,   // part of the kernel image
  loaded,    // a module that is loaded
  loadable,  // there is a module file
  missing,   // none of these
};

const char* to_string(State state) noexcept;
const char* to_string(Role role) noexcept;

// Facts about the running kernel that do not belong to one module.
struct Kernel {
  std::string release;         // as uname -r
  bool has_modules_directory;  // /lib/modules/<release> exists
  bool can_load_modules;       // /proc/modules exists, so the kernel has CONFIG_MODULES
};
Kernel running_kernel();

// Returns one sentence that says what to do about a missing module. Pure.
std::string advice(const Kernel& kernel, const Module& module);

class Library {
 public:
  // Fails only if there is no memory.
  static Result<Library> open();

  // Never fails: a module of which nothing can be found out is `missing`.
  State state_of(const char* name) const;
  // Loads the module and those it depends on. A module that is loaded already is a success. Needs
  // CAP_SYS_MODULE.
  Result<void> load(const char* name) const;

 private:
  struct Release {
    void operator()(kmod_ctx* context) const noexcept { kmod_unref(context); }
  };
  explicit Library(kmod_ctx* context) : context_{context} {}
  std::unique_ptr<kmod_ctx, Release> context_;
};

}  // namespace ballast::kmod
