// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cerrno>
#include <mutex>
#include <optional>

#include "lib/base/guarded_exit.h"
#include "lib/base/never_destroyed.h"

namespace ballast::backend {
namespace {

constexpr const char* rados_file = "librados.so.2";
constexpr const char* rbd_file = "librbd.so.1";

Result<void*> load(const char* file, const char* package) {
  void* const library = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return Error{ENOENT, fmt::format("an image in Ceph needs {}, which cannot be loaded ({}): "
                                     "install the package {}",
                                     file, ::dlerror(), package)};
  }
  return library;
}

template <class Function>
const char* find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(::dlsym(library, name));
  return function == nullptr ? name : nullptr;
}

Result<RbdLibrary> load_all() {
  const Result<void*> rados = load(rados_file, "librados2");
  if (!rados) {
    return rados.error();
  }
  const Result<void*> rbd = load(rbd_file, "librbd1");
  if (!rbd) {
    return rbd.error();
  }
  RbdLibrary library;
  const char* lacks = nullptr;
#define BALLAST_FIND(function) \
  lacks = lacks != nullptr ? lacks : find(from, #function, library.function);
  void* from = rados.value();
  BALLAST_RADOS_FUNCTIONS(BALLAST_FIND)
  from = rbd.value();
  BALLAST_RBD_FUNCTIONS(BALLAST_FIND)
#undef BALLAST_FIND
  if (lacks != nullptr) {
    return Error{ENOENT, fmt::format("{} or {} is too old: it has no {}: install librbd1 and "
                                     "librados2 of Ceph 16 or newer",
                                     rbd_file, rados_file, lacks)};
  }
  return library;
}

struct Loaded {
  std::mutex mutex;
  std::optional<RbdLibrary> library;
};

}  // namespace

Result<const RbdLibrary*> rbd_library() {
  auto& loaded = never_destroyed<Loaded>();
  const std::lock_guard lock{loaded.mutex};
  if (!loaded.library.has_value()) {
    Result<RbdLibrary> library = load_all();
    if (!library) {
      return library.error();
    }
    loaded.library = library.value();
    (void)guard_exit();
  }
  return &*loaded.library;
}

}  // namespace ballast::backend
