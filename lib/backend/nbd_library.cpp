// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "lib/base/guarded_exit.h"
#include "lib/base/never_destroyed.h"

namespace ballast::backend {
namespace {

constexpr const char* file_name = "libnbd.so.0";

struct Loaded {
  std::mutex mutex;  // for loading
  NbdLibrary table;  // written once, before `ready`
  std::atomic<bool> ready{false};
};
Loaded& the_library() {
  return never_destroyed<Loaded>();
}

Error missing(const char* why) {
  return Error{ENOENT, fmt::format("cannot load the NBD client library {} ({}): install Debian's "
                                   "package libnbd0, version 1.14 or later",
                                   file_name, why != nullptr ? why : "unknown error")};
}

template <class Function>
bool find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(::dlsym(library, name));
  return *function != nullptr;
}

}  // namespace

Result<const NbdLibrary*> nbd_library() {
  Loaded& loaded = the_library();
  const std::lock_guard lock{loaded.mutex};
  if (loaded.ready.load(std::memory_order_relaxed)) {
    return &loaded.table;
  }
  // It must not be unloaded: it keeps the text of an error for each thread.
  void* const library = ::dlopen(file_name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    return missing(::dlerror());
  }
  NbdLibrary table;
#define BALLAST_NBD_FIND(name)                           \
  if (!find(library, "nbd_" #name, &table.name)) {       \
    const Error error = missing("it has no nbd_" #name); \
    (void)::dlclose(library);                            \
    return error;                                        \
  }
  BALLAST_NBD_FUNCTIONS(BALLAST_NBD_FIND)
#undef BALLAST_NBD_FIND
  loaded.table = table;
  loaded.ready.store(true, std::memory_order_release);
  (void)guard_exit();
  return &loaded.table;
}

const NbdLibrary& nbd() {
  Loaded& loaded = the_library();
  BALLAST_ASSERT(loaded.ready.load(std::memory_order_acquire));
  return loaded.table;
}

const char* nbd_error_text() {
  const char* const text = nbd().get_error();
  if (text == nullptr) {
    return "unknown error";
  }
  const char* const behind = std::strstr(text, ": ");
  return std::strncmp(text, "nbd_", 4) == 0 && behind != nullptr ? behind + 2 : text;
}

}  // namespace ballast::backend
