// SPDX-License-Identifier: Apache-2.0
// SharedStore: a store that several machines can reach and that one of them owns at a time, as this
// machine sees it. The machines are gateways: each serves the same LUN, and an initiator has a path
// to each (docs/high-availability.md).
//
// This machine takes the store over only if it is told to: by an initiator (SET TARGET PORT GROUPS)
// or by an operator (ballastctl). It never does so by itself, and never on account of a READ or
// WRITE: two gateways would take the store from each other in turn. While it does not own the
// store, each operation of the backend ends with not_ready.
//
// Driving thread of the LUN's executor only.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/units.h"
#include "lib/co/cancel.h"
#include "lib/co/executor.h"
#include "lib/co/task.h"

namespace ballast::backend {

enum class Access : std::uint8_t {
  active,      // this machine owns the store
  transition,  // it is taking the store over, or giving it back
  standby,     // it does not own the store
};

// How an attempt to change the access has ended.
enum class Move : std::uint8_t {
  done,
  under_way,  // the asker's time is up, and it goes on
  held,       // the present owner took the store over a moment ago
  failed,     // see SharedStore::trouble()
};
// A task that returns Move ends with this when memory runs out (lib/co/task.h).
constexpr Move when_out_of_memory(const Move*) {
  return Move::under_way;
}

// Who owns the store, as far as this machine knows. It is read from the store now and then.
struct StoreOwner {
  std::string address;      // empty: nobody, or it is not known
  std::uint16_t group = 0;  // the target port group of its gateway; 0: not known
};

// Is told of each change of the access. Must not ask for another change.
class AccessWatcher {
 public:
  // `expected`: an initiator has asked for the change, and waits for it.
  virtual void access_changed(bool expected) = 0;

 protected:
  ~AccessWatcher() = default;
};

enum class Asker : bool { initiator, operator_ };

class SharedStore {
 public:
  // For this time after a takeover the store is not taken over on behalf of an initiator again.
  // Otherwise two initiators that cannot agree would move it with each command.
  static constexpr Nanoseconds hold = std::chrono::seconds{10};

  virtual ~SharedStore() = default;

  virtual co::Executor& executor() = 0;
  // Begins to look after the store, and tells `watcher`, which outlives the store, of each change
  // of the access. Call it once, before any other function but access() and owner().
  virtual void start(AccessWatcher& watcher) = 0;

  // The reference stays valid as long as the store.
  virtual const Access& access() const = 0;
  virtual StoreOwner owner() const = 0;
  // "owner", "transition", "standby", or "fenced": lost, and not ready to be taken over again.
  virtual const char* condition() const = 0;
  static constexpr const char* condition_of(Access access, bool has_session) {
    switch (access) {
      case Access::active:
        return "owner";
      case Access::transition:
        return "transition";
      case Access::standby:
        break;
    }
    return has_session ? "standby" : "fenced";
  }
  // One sentence: why the last attempt failed, or what one under way is doing. May be empty.
  virtual std::string trouble() const = 0;
  // Makes this machine the owner. The present owner is fenced, even if it is alive. Whoever asks
  // while that is under way joins. It ends at `until` at the latest, or when `cancel` is requested.
  virtual co::Task<Move> take_over(Asker asker, TimePoint until, co::CancelToken cancel = {}) = 0;
  // Gives the store back, once the operations under way have ended.
  virtual co::Task<Move> give_back(Asker asker, TimePoint until, co::CancelToken cancel = {}) = 0;

  // The target port group of this gateway, for other gateways to read. 0: none.
  virtual void set_group(std::uint16_t group) = 0;
};

}  // namespace ballast::backend
