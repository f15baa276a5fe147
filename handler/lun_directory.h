// SPDX-License-Identifier: Apache-2.0
// The LUNs that are open, for threads that look at them from outside.
//
// Any thread may call any function, also beside other threads. The mutex is not held while a LUN is
// visited, so a LUN that is slow to answer does not keep others from being added or removed.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/watch/snapshot.h"
#include "lib/watch/stuck.h"

namespace ballast::handler {

// What an operator can see of an open LUN. The directory does not own it.
class ControlledLun {
 public:
  virtual ~ControlledLun() = default;

  // The backstore's name. It never changes.
  virtual std::string name() const = 0;

  // Copies the LUN's state, with these lists, to `into`. The copy is made on the LUN's executor.
  // Returns false if the executor did not get to it within `patience`. Either way `into` is not
  // touched after the return, even if the executor is late. One caller at a time, from any thread
  // but the LUN's own, which would wait for itself. Not from within control_remove(), nor after it.
  virtual bool snapshot(const watch::Lists& lists, watch::LunSnapshot* into,
                        Nanoseconds patience) = 0;

  // The thread that keeps the LUN from going on, if it has done so for `at_least`. Does not wait
  // for the LUN.
  virtual std::optional<watch::StuckThread> stuck(Nanoseconds at_least) const = 0;

  // Has this gateway take over the LUN's shared store (`here`), or give it back. Returns at once.
  // Calls `done` once, from any thread, possibly within the call. May throw std::bad_alloc; then
  // `done` is not called.
  virtual void move(bool here, std::function<void(Result<void>)> done) = 0;

  // Has the LUN's write log written back, or let go (lun::Lun::write_log_back). Returns at once,
  // and calls `done` once with what the LUN is like then, or why that is not possible, as move()
  // does.
  virtual void write_log_back(bool lets_go,
                              std::function<void(Result<watch::LunSnapshot>)> done) = 0;

  // The daemon was told to stop and will close its LUNs one after the other. Must not wait.
  virtual void daemon_stops() {}
};

class LunDirectory {
 public:
  LunDirectory() = default;
  LunDirectory(const LunDirectory&) = delete;
  LunDirectory& operator=(const LunDirectory&) = delete;

  // A LUN must not be added twice. If it throws std::bad_alloc, the LUN was not added.
  void add(ControlledLun& lun);
  // Waits until no thread visits the LUN; after the return none will. A LUN that was never added
  // may be passed as well. Must not be called from within a visit to the same LUN: it would wait
  // for itself.
  void remove(ControlledLun& lun) noexcept;

  // The names of the LUNs that are open now, in the order in which they were added.
  std::vector<std::string> names() const;

  // Visits the LUNs that are open now, or those of them that are called `name`, one after the other
  // in the order in which they were added. A LUN that is removed before its turn is skipped.
  // Returns how many were visited. A second visitor of the same LUN waits for the first one.
  std::size_t visit(const std::string* name, const std::function<void(ControlledLun&)>& visitor);

 private:
  class Visit;
  struct Entry {
    ControlledLun* lun;
    std::string name;
    std::uint64_t number;  // unique: another LUN may later have the same address
    bool visited;
  };
  Entry* find(std::uint64_t number);

  mutable std::mutex mutex_;      // guards entries_ and last_number_
  std::condition_variable left_;  // a visit has ended, or a LUN was removed
  std::vector<Entry> entries_;
  std::uint64_t last_number_ = 0;
};

}  // namespace ballast::handler
