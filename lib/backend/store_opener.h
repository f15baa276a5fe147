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

#include <functional>
#include <memory>
#include <string>

#include "lib/backend/file_open.h"
#include "lib/base/config.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

struct StoreOrder {
  config::LunConfig config;  // scheme file
  std::string lun;           // the backstore's name
  Bytes size;                // the LUN's, as in OpenContext
  Bytes logical_block;
  // The daemon is starting and takes over LUNs that the kernel has: nothing is created, and every
  // failure is waited out. Else only the failures of a LUN that is known are: one with a record of
  // this path, name and size, as a restored configuration has. Somebody who makes a new LUN wants
  // an answer.
  bool at_start = false;
  // Whether a saved configuration has a LUN on this path; asked on the opener's thread before
  // anything is created. Empty: no.
  std::function<bool(const std::string& path)> is_saved;
  std::string records;  // the folder of records; empty: nothing is remembered
  Nanoseconds interval = std::chrono::seconds{1};
};

class StoreOpener {
 public:
  // How long an attempt waits for the folder of records.
  static constexpr Nanoseconds record_patience = std::chrono::seconds{2};

  enum class State {
    trying,   // the first attempt is under way
    waiting,  // it failed, and is made again; see error()
    refused,  // it failed for good; see error()
    opened,   // see take()
  };

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

// check_environment() (factory.h) with what is remembered, on behalf of somebody who is about to
// make a LUN; an error also if that is not known within `patience`. Any scheme.
Result<void> check_with_patience(StoreOrder order, Nanoseconds patience);

}  // namespace ballast::backend
