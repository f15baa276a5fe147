// SPDX-License-Identifier: Apache-2.0
// The kinds of backend that a configuration string may name: one row each, and what the string says
// of one. A new kind is a row in kinds.cpp, and a member of StoreConfig if it has settings.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lib/backend/file_config.h"
#include "lib/base/keys.h"
#include "lib/base/result.h"

namespace ballast::backend {

struct OpenContext;
struct StoreConfig;
struct StoreOrder;
class StoreSource;

struct Kind {
  std::string_view name;     // "file", what the string begins with
  std::string_view example;  // "file=/srv/vol0.raw", for messages
  std::string_view help;     // "a file, created sparse with the LUN, or a block device"
  // What stands behind the '=' of its name; null: nothing.
  config::Key (*target)(StoreConfig& config) = nullptr;
  // Its own keys; null: none.
  config::Keys (*keys)(StoreConfig& config) = nullptr;
  // Whether open() would work, as far as that can be seen without the LUN's size; null: it would.
  // Changes nothing. May hang with the storage.
  Result<void> (*check)(const StoreOrder& order) = nullptr;
  // Starts opening; does not wait. The source gives the backend itself: open() in factory.h wraps
  // it.
  std::unique_ptr<StoreSource> (*open)(StoreOrder order, const OpenContext& context);
  // Its submissions to io_uring may sleep as long as the store does: UringOptions::store_thread.
  bool submissions_sleep = false;
};

std::span<const Kind> kinds();
// Null if there is none.
const Kind* find_kind(std::string_view name);

// What was asked for, with defaults filled in.
struct StoreConfig {
  const Kind* kind = find_kind("null");
  FileConfig file;
  std::string fault_control;  // the control file of the fault wrapper (fault.h); empty: none
  friend bool operator==(const StoreConfig&, const StoreConfig&) = default;
};

// Those of its kind, and of the wrappers.
config::Keys keys_of(StoreConfig& config);
// "file=/srv/vol0.raw": its kind and its target.
std::string to_string(const StoreConfig& config);

}  // namespace ballast::backend
