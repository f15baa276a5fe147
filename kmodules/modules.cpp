// SPDX-License-Identifier: Apache-2.0
#include "kmodules/modules.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ballast::kmod {
namespace {

constexpr std::array table{
    Module{"configfs", Role::target, "CONFIG_CONFIGFS_FS", "the tree LIO is configured through"},
    Module{"uio", Role::target, "CONFIG_UIO", "gives each LUN's ring to user space, /dev/uioN"},
    Module{"target_core_mod", Role::target, "CONFIG_TARGET_CORE", "LIO, the kernel's SCSI target"},
    Module{"target_core_user", Role::target, "CONFIG_TCM_USER2",
           "TCMU: hands SCSI commands to tcmu-runner"},
    Module{"iscsi_target_mod", Role::target, "CONFIG_ISCSI_TARGET", "LIO's iSCSI side"},
    Module{"iscsi_tcp", Role::initiator, "CONFIG_ISCSI_TCP",
           "open-iscsi over TCP; loaded by iscsid when it starts"},
    Module{"sd_mod", Role::initiator, "CONFIG_BLK_DEV_SD", "SCSI disks, /dev/sdX"},
    Module{"tcm_loop", Role::lab, "CONFIG_LOOPBACK_TARGET",
           "a LUN as a disk of this machine, without a network"},
};

struct Unref {
  void operator()(kmod_module* module) const noexcept { kmod_module_unref(module); }
};
using Handle = std::unique_ptr<kmod_module, Unref>;

struct FreeList {
  void operator()(kmod_list* list) const noexcept { kmod_module_unref_list(list); }
};

// Returns the first module that has this name or alias; null if libkmod's index has none.
Handle look_up(kmod_ctx* context, const char* name) {
  kmod_list* list = nullptr;
  const int status = kmod_module_new_from_lookup(context, name, &list);
  const std::unique_ptr<kmod_list, FreeList> owner{list};
  if (status < 0 || list == nullptr) {
    return nullptr;
  }
  return Handle{kmod_module_get_module(list)};
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

}  // namespace

std::span<const Module> modules() {
  return table;
}

const char* to_string(State state) noexcept {
  switch (state) {
    case State::builtin:
      return "builtin";
    case State::loaded:
      return "loaded";
    case State::loadable:
      return "loadable";
    case State::missing:
      return "missing";
  }
  return "?";
}

const char* to_string(Role role) noexcept {
  switch (role) {
    case Role::target:
      return "target";
    case Role::initiator:
      return "initiator";
    case Role::lab:
      return "lab";
  }
  return "?";
}

Kernel running_kernel() {
  utsname names{};
  // uname(2) fails only for a bad pointer.
  ::uname(&names);
  const std::string release{names.release};
  return Kernel{release, exists("/lib/modules/" + release), exists("/proc/modules")};
}

std::string advice(const Kernel& kernel, const Module& module) {
  if (!kernel.can_load_modules) {
    return fmt::format(
        "kernel {} loads no modules: boot Debian's linux-image-amd64, or try Ballast in the guest "
        "of ci/lab",
        kernel.release);
  }
  if (!kernel.has_modules_directory) {
    return fmt::format(
        "/lib/modules/{0} does not exist: apt-get install linux-image-{0}, or reboot into a kernel "
        "that is installed",
        kernel.release);
  }
  return fmt::format("kernel {} was built without {}: Debian's linux-image-amd64 has it",
                     kernel.release, module.config);
}

Result<Library> Library::open() {
  kmod_ctx* const context = kmod_new(nullptr, nullptr);
  if (context == nullptr) {
    return Error{ENOMEM, "libkmod could not be set up: out of memory"};
  }
  // libkmod logs nothing: Ballast reports each error itself, once.
  kmod_set_log_fn(
      context, [](void*, int, const char*, int, const char*, const char*, va_list) {}, nullptr);
  return Library{context};
}

State Library::state_of(const char* name) const {
  const Handle module = look_up(context_.get(), name);
  if (module) {
    switch (kmod_module_get_initstate(module.get())) {
      case KMOD_MODULE_BUILTIN:
        return State::builtin;
      case KMOD_MODULE_LIVE:
        return State::loaded;
      default:
        break;
    }
  }
  // Without libkmod's index (no /lib/modules), sysfs still shows the modules that run. A built-in
  // one has no initstate file there.
  const std::string directory = fmt::format("/sys/module/{}", name);
  if (exists(directory)) {
    return exists(directory + "/initstate") ? State::loaded : State::builtin;
  }
  return module && kmod_module_get_path(module.get()) != nullptr ? State::loadable : State::missing;
}

Result<void> Library::load(const char* name) const {
  const Handle module = look_up(context_.get(), name);
  if (!module) {
    return Error{ENOENT, fmt::format("there is no module {}", name)};
  }
  const int status =
      kmod_module_probe_insert_module(module.get(), 0, nullptr, nullptr, nullptr, nullptr);
  if (status == 0 || status == -EEXIST) {
    return {};
  }
  const int reason = status < 0 ? -status : EPERM;
  return Error{reason, fmt::format("module {} does not load: {}; the kernel's log (dmesg) may say "
                                   "more",
                                   name, std::strerror(reason))};
}

}  // namespace ballast::kmod
