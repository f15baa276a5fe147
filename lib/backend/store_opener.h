// SPDX-License-Identifier: Apache-2.0
// StoreOpener: opens the store of one LUN on a thread of its own, for as long as it takes.
//
// Opening may hang (a frozen file system, a server that is away), or fail for now (the file system
// is not mounted, what is left of a closed LUN still has the file). Nobody who is waited for does
// it: an errand (lib/base/errand.h) tries, once a second, until the store is open or nobody wants
// it; the LUN waits as long as it can afford and looks again later. It logs once what it waits for,
// and once more when that changes.
//
// What an attempt does: read the record of the path (store_record.h), open_file() accordingly, and,
// once the LUN has the store, write the record if it changed. A folder of records that hangs or
// cannot be written keeps no LUN from what is there: it is served, with a warning.
//
// Any thread, but one user at a time.
#pragma once

#include <memory>

#include "lib/backend/file_open.h"
#include "lib/backend/store_source.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

class StoreOpener {
 public:
  // How long an attempt waits for the folder of records.
  static constexpr Nanoseconds record_patience = std::chrono::seconds{2};

  using State = StoreSource::State;

  // Whether an order could be filled, with what is remembered. Changes nothing. Blocks.
  static Result<void> check(const StoreOrder& order);

  // Starts trying.
  explicit StoreOpener(StoreOrder order);
  // Nobody wants the store any more: what is opened later is closed on the opener's thread. Does
  // not wait.
  ~StoreOpener();
  StoreOpener(const StoreOpener&) = delete;
  StoreOpener& operator=(const StoreOpener&) = delete;

  // Waits for the end of the first attempt, no longer than `patience`.
  State wait(Nanoseconds patience);
  State state();
  // Why the last attempt failed.
  Error error();
  // Once, when opened.
  OpenFile take();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace ballast::backend
