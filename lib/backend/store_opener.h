// SPDX-License-Identifier: Apache-2.0
// StoreOpener: opens the store of one LUN on a thread of its own, for as long as that takes.
//
// Opening may hang (a frozen file system, a server that does not answer). It may also fail for now
// (the file system is not mounted, or a closed LUN still has operations on the file). So an errand
// does it (attempts.h), until the store is open, until the failure is final (StoreOrder::at_start),
// or until the opener is destroyed; it pauses for StoreOrder::interval between attempts. The LUN
// waits as long as it can afford and looks again later. The errand logs once why the LUN has to
// wait, and again when the reason changes.
//
// An attempt reads the record of the path (store_record.h) and calls open_file() accordingly. Once
// the store is open, it writes the record if that changed. If the folder of records hangs or cannot
// be written, a LUN whose store is there is served all the same, with a warning in the log.
//
// Any thread, but one user at a time.
#pragma once

#include "lib/backend/attempts.h"
#include "lib/backend/file_open.h"
#include "lib/backend/store_source.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

class StoreOpener {
 public:
  // An attempt waits no longer than this for the folder of records.
  static constexpr Nanoseconds record_patience = std::chrono::seconds{2};

  using State = StoreSource::State;

  // Checks whether an order could be filled, given the record of its path. Changes nothing. Blocks.
  static Result<void> check(const StoreOrder& order);

  // Starts the errand. If that is impossible, the state is `refused`.
  explicit StoreOpener(StoreOrder order);

  // Waits until the first attempt has ended, but no longer than `patience`.
  State wait(Nanoseconds patience) { return attempts_.wait(patience); }
  State state() { return attempts_.state(); }
  // Says why the last attempt failed. EAGAIN: none has ended yet.
  Error error() { return attempts_.error(); }
  // Gives the store to the caller. Call it once, in the state `opened` (asserted).
  OpenFile take() { return attempts_.take(); }

 private:
  Attempts<OpenFile> attempts_;
};

}  // namespace ballast::backend
