// SPDX-License-Identifier: Apache-2.0
// Where a LUN gets its store from, which may take its time.
#pragma once

#include <functional>
#include <memory>
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

struct Store {
  std::unique_ptr<Backend> backend;
  // The store's: it outlives each opening. May be null.
  std::shared_ptr<UnheardFlush> unheard_flush;
};

// The driving thread of the LUN's executor, or, before that is driven, the thread that opens it.
class StoreSource {
 public:
  enum class State {
    trying,   // the first attempt is under way
    waiting,  // it failed, and is made again; see error()
    refused,  // it failed for good; see error()
    opened,   // see take()
  };

  // Nobody wants the store any more. Does not wait.
  virtual ~StoreSource() = default;

  // Waits for the end of the first attempt, no longer than `patience`.
  virtual State wait(Nanoseconds) { return state(); }
  virtual State state() = 0;
  // Why the last attempt failed.
  virtual Error error() = 0;
  // Once, when opened. May throw std::bad_alloc.
  virtual Store take() = 0;
};

// Of a backend that is open as soon as it is made.
class OpenedSource final : public StoreSource {
 public:
  explicit OpenedSource(std::unique_ptr<Backend> backend) : backend_{std::move(backend)} {}
  State state() override { return State::opened; }
  Error error() override { return {}; }
  Store take() override { return Store{std::move(backend_), nullptr}; }

 private:
  std::unique_ptr<Backend> backend_;
};

}  // namespace ballast::backend
