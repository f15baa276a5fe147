// SPDX-License-Identifier: Apache-2.0
// The LUNs that are open, for whoever looks at them from another thread.
//
// All functions: any thread, at once. The mutex is never held while a LUN is visited, so a LUN that
// is slow to answer keeps nobody else from coming or going.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "lib/base/units.h"
#include "lib/watch/snapshot.h"

namespace ballast::handler {

// What an open LUN lets an operator see. Not owned by whoever holds a reference.
class ControlledLun {
 public:
  virtual ~ControlledLun() = default;

  // The backstore's name, the same all along.
  virtual std::string name() const = 0;

  // Copies the LUN's state, with these lists, taken on its executor, to `into`; false if the
  // executor did not get to it within `patience`. After it has returned `into` is not touched any
  // more, either way: an executor that is late must not write to it. From any thread but the LUN's
  // own (it would wait for itself), one caller at a time; neither from within nor after
  // control_remove().
  virtual bool snapshot(const watch::Lists& lists, watch::LunSnapshot* into,
                        Nanoseconds patience) = 0;

  // The daemon was told to stop, and will close its LUNs one after the other. At once.
  virtual void daemon_stops() {}
};

class LunDirectory {
 public:
  LunDirectory() = default;
  LunDirectory(const LunDirectory&) = delete;
  LunDirectory& operator=(const LunDirectory&) = delete;

  // Not added twice. May throw std::bad_alloc, and then it is not added.
  void add(ControlledLun& lun);
  // Returns once nobody visits the LUN, and nobody will. What was never added is fine. Not from
  // within a visit to the same LUN: it would wait for itself.
  void remove(ControlledLun& lun) noexcept;

  // Of the LUNs that are here now, in the order in which they came.
  std::vector<std::string> names() const;

  // Visits the LUNs, all or those called `name`, one after the other in the order in which they
  // came; one that goes before its turn is left out. Returns how many were visited. One visitor at
  // a time has a LUN; a second one waits.
  std::size_t visit(const std::string* name, const std::function<void(ControlledLun&)>& visitor);

 private:
  class Visit;
  struct Entry {
    ControlledLun* lun;
    std::string name;
    std::uint64_t number;  // of this coming: another LUN may later have the address
    bool visited;
  };
  Entry* find(std::uint64_t number);

  mutable std::mutex mutex_;      // over entries_
  std::condition_variable left_;  // a visit has ended
  std::vector<Entry> entries_;
  std::uint64_t last_number_ = 0;
};

}  // namespace ballast::handler
