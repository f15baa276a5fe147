// SPDX-License-Identifier: Apache-2.0
// StoreSource: gives a LUN its store, as soon as the store is open. StoreOrder says which store,
// and for which LUN.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "lib/backend/backend.h"
#include "lib/backend/kinds.h"
#include "lib/backend/store_register.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

struct StoreOrder {
  StoreConfig config;
  std::string lun;  // the backstore's name
  Bytes size;       // the LUN's, as in OpenContext
  Bytes logical_block;
  // A write log stands before the store. Without one, a store whose label names a log is refused.
  bool has_log = false;
  // True if the daemon is starting and takes over LUNs that the kernel has. Then nothing is
  // created, and after every failure the store is tried again. If it is false, a failure other than
  // EINVAL is tried again only for a known LUN, one with a record of this path, name and size, as
  // in a restored configuration. An operator who makes a new LUN needs an answer instead.
  bool at_start = false;
  // Whether a saved configuration has a LUN on this path. The opener's errand asks it before it
  // creates anything. Empty: no.
  std::function<bool(const std::string& path)> is_saved;
  std::string records;  // the folder of records; empty: nothing is remembered
  // The pause between two attempts.
  Nanoseconds interval = std::chrono::seconds{1};
};

// Logs that the store could not be opened, and that Ballast tries again.
void log_becoming_ready(const StoreOrder& order, const Error& why);

struct Store {
  std::unique_ptr<Backend> backend{};
  // Belongs to the store, so it outlives each opening. May be null.
  std::shared_ptr<UnheardFlush> unheard_flush{};
  std::optional<Label> label{};  // as it was when the store was opened
};

// The driving thread of the LUN's executor calls this. Before the executor is driven, the thread
// that opens the LUN calls it.
class StoreSource {
 public:
  enum class State {
    trying,   // the first attempt is under way
    waiting,  // an attempt failed, and another one follows; see error()
    refused,  // an attempt failed, and none follows; see error()
    found,    // the store is there, and finish() has work left
    opened,   // see take()
  };

  // The store is not wanted any more. Does not wait.
  virtual ~StoreSource() = default;

  // Waits until the first attempt has ended, but no longer than `patience`.
  virtual State wait(Nanoseconds) { return state(); }
  virtual State state() = 0;
  // Says why the last attempt failed.
  virtual Error error() = 0;
  // Does what is left in the state `found`, once and before take(). It needs the executor to be
  // driven. If `cancel` was requested, it ends with ECANCELED, as early as it can. After a failure
  // the store is closed, and there is none to take.
  virtual co::Task<Result<void>> finish(co::Executor& executor, co::CancelToken cancel) {
    (void)executor;
    (void)cancel;
    co_return Result<void>{};
  }
  // Gives the store to the caller. Call it once, in the state `opened`. May throw std::bad_alloc.
  virtual Store take() = 0;
};

// The source of a backend that is open as soon as it is made.
class OpenedSource final : public StoreSource {
 public:
  explicit OpenedSource(std::unique_ptr<Backend> backend) : backend_{std::move(backend)} {}
  State state() override { return State::opened; }
  Error error() override { return {}; }
  Store take() override { return Store{.backend = std::move(backend_)}; }

 private:
  std::unique_ptr<Backend> backend_;
};

}  // namespace ballast::backend
