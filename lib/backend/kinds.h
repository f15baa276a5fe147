// SPDX-License-Identifier: Apache-2.0
// The kinds of backend that a configuration string may name: one row for each, and the settings
// that the string gives. A new kind needs a row in kinds.cpp, and a member of StoreConfig if it has
// settings. Pure data; any thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lib/backend/file_config.h"
#include "lib/backend/nbd_config.h"
#include "lib/backend/rbd_config.h"
#include "lib/base/keys.h"
#include "lib/base/result.h"

namespace ballast::backend {

struct OpenContext;
struct StoreConfig;
struct StoreOrder;
class StoreSource;

struct Kind {
  std::string_view name;     // "file": the word that the string begins with
  std::string_view example;  // "file=/srv/vol0.raw", for messages
  std::string_view help;     // "a file, created sparse with the LUN, or a block device"
  // The value after the name and its '='; null: the kind has none.
  config::Key (*target)(StoreConfig& config) = nullptr;
  // The kind's own keys; null: it has none.
  config::Keys (*keys)(StoreConfig& config) = nullptr;
  // Checks whether open() would work, as far as possible without the size of the LUN; null: it
  // always would. Changes nothing. May hang with the storage.
  Result<void> (*check)(const StoreOrder& order) = nullptr;
  // Starts to open the store and does not wait. The source gives the bare backend; open() in
  // factory.h wraps it.
  std::unique_ptr<StoreSource> (*open)(StoreOrder order, const OpenContext& context);
  // It takes many answers over a network to look at the store, and open() waits for one that does
  // not answer. So a check that does not end in time says nothing against it.
  bool is_remote = false;
  // Submissions to io_uring may sleep as long as the store hangs, so the ring needs
  // a store thread (UringOptions::store_threads).
  bool submissions_sleep = false;
  // There is a place for a label (label.h), so it can have a write log.
  bool keeps_label = false;
};

std::span<const Kind> kinds();
// Returns null if there is no kind with this name.
const Kind* find_kind(std::string_view name);

// The settings of a store, with defaults filled in.
struct StoreConfig {
  const Kind* kind = find_kind("null");
  FileConfig file;
  NbdConfig nbd;
  RbdConfig rbd;
  std::string fault_control;  // the control file of the fault wrapper (fault.h); empty: none
  friend bool operator==(const StoreConfig&, const StoreConfig&) = default;
};

// Whether several machines may own the store in turn (shared_store.h).
bool is_shared(const StoreConfig& config);

// The keys of the store's kind and of the wrappers. They refer to `config`, which must outlive
// them.
config::Keys keys_of(StoreConfig& config);
// The kind and its target: "file=/srv/vol0.raw".
std::string to_string(const StoreConfig& config);

}  // namespace ballast::backend
