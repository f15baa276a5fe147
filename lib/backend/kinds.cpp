// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/kinds.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "lib/backend/factory.h"
#include "lib/backend/file_source.h"
#include "lib/backend/memory.h"
#include "lib/backend/nbd_open.h"
#include "lib/backend/null.h"
#include "lib/backend/rbd_source.h"
#include "lib/backend/store_source.h"

namespace ballast::backend {
namespace {

constexpr std::array rows{
    Kind{.name = "file",
         .example = "file=/srv/vol0.raw",
         .help = "a file, created sparse with the LUN, or a block device",
         .target = [](StoreConfig& config) { return target_of(config.file); },
         .keys = [](StoreConfig& config) { return keys_of(config.file); },
         .check = check_file_store,
         .open = open_file_store,
         .submissions_sleep = true,
         .keeps_label = true},
    Kind{.name = "memory",
         .example = "memory",
         .help = "a disk in memory, gone when it is closed",
         .open = [](StoreOrder, const OpenContext& context) -> std::unique_ptr<StoreSource> {
           return std::make_unique<OpenedSource>(
               make_memory(context.executor, context.size, context.logical_block));
         }},
    Kind{.name = "nbd",
         .example = "nbd=storage.example",
         .help = "an export of an NBD server",
         .target = [](StoreConfig& config) { return target_of(config.nbd); },
         .keys = [](StoreConfig& config) { return keys_of(config.nbd); },
         .check = check_nbd_store,
         .open = open_nbd_store,
         .is_remote = true},
    Kind{.name = "null",
         .example = "null",
         .help = "reads zeros, forgets what is written",
         .open = [](StoreOrder, const OpenContext& context) -> std::unique_ptr<StoreSource> {
           return std::make_unique<OpenedSource>(
               make_null(context.executor, context.size, context.logical_block));
         }},
    Kind{.name = "rbd",
         .example = "rbd=pool/image",
         .help = "an image in Ceph",
         .target = [](StoreConfig& config) { return target_of(config.rbd); },
         .keys = [](StoreConfig& config) { return keys_of(config.rbd); },
         .check = check_rbd_store,
         .open = open_rbd_store,
         .is_remote = true,
         .keeps_label = true},
};

}  // namespace

std::span<const Kind> kinds() {
  return rows;
}

const Kind* find_kind(std::string_view name) {
  for (const Kind& kind : rows) {
    if (kind.name == name) {
      return &kind;
    }
  }
  return nullptr;
}

bool is_shared(const StoreConfig& config) {
  return config.kind == find_kind("rbd")
             ? config.rbd.lock == RbdLock::standby
             : config.kind == find_kind("file") && config.file.lock == FileLock::pr;
}

config::Keys keys_of(StoreConfig& config) {
  config::Keys keys;
  if (config.kind->keys != nullptr) {
    keys = config.kind->keys(config);
  }
  keys.push_back({"fault", config::Path{config.fault_control}});
  return keys;
}

std::string to_string(const StoreConfig& config) {
  if (config.kind->target == nullptr) {
    return std::string{config.kind->name};
  }
  StoreConfig copy = config;
  return fmt::format("{}={}", config.kind->name, config::format(config.kind->target(copy)));
}

}  // namespace ballast::backend
