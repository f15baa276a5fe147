// SPDX-License-Identifier: Apache-2.0
// AccessSession: one period in which this machine uses a shared store (shared_access.h), with the
// operations of that period and a thread for its blocking calls. A session whose store was lost, or
// given back, is not used again.
//
// Driving thread only, unless a function says something else.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "lib/backend/store_source.h"
#include "lib/base/result.h"
#include "lib/base/units.h"
#include "lib/co/executor.h"
#include "lib/co/gate.h"
#include "lib/co/task.h"
#include "lib/io/helper_thread.h"

namespace ballast::backend {

// The present owner, as the store has it.
struct OwnerSeen {
  std::string address;      // empty: nobody owns the store
  std::uint16_t group = 0;  // the target port group of its gateway; 0: not known
};

struct TakeOrder {
  std::uint16_t group = 0;  // of this gateway, for others to read
  // Says what is being done: "fences the owner". Null: nobody asks.
  std::atomic<const char*>* progress = nullptr;
  // Is asked before another owner is fenced. If it returns true, the error's errno_value is
  // ECANCELED.
  std::function<bool()> unwanted{};
};

class AccessSession {
 public:
  // `what` names what closing waits for (a literal).
  AccessSession(co::Executor& executor, const char* what)
      : since_{executor.now()}, running_{executor, what}, control_{executor} {}
  virtual ~AccessSession() = default;
  AccessSession(const AccessSession&) = delete;
  AccessSession& operator=(const AccessSession&) = delete;

  co::Executor& executor() { return control_.executor(); }
  // Every operation is inside.
  co::Gate& running() { return running_; }
  // For calls that block. They run one after the other.
  io::HelperThread& control() { return control_; }

  // Reads whose the store is. ESHUTDOWN: the store refuses this session. Control thread.
  virtual Result<OwnerSeen> look() = 0;
  // Makes the store ours, whoever owns it, and returns our address. After an error it may be ours
  // all the same. Control thread.
  virtual Result<std::string> take(const TakeOrder& order) = 0;
  // Waits until the last operation has ended, and lets go of the store. If the store is ours, it is
  // given back in order. Call it once; no operation may begin after it.
  virtual co::Task<void> end() = 0;

  // Ours, as look() has it; empty: the store is not ours.
  const std::string& address() const { return address_; }
  void owns_as(std::string address) { address_ = std::move(address); }
  // The store refuses this session, or belongs to another client.
  bool lost() const { return lost_; }
  void lose() {
    lost_ = true;
    since_ = executor().now();
  }
  // Since when it is open, or lost.
  TimePoint since() const { return since_; }
  // See Connection.
  static constexpr const char* connection(bool lost) { return lost ? "fenced" : "connected"; }

 private:
  friend struct Anatomy;
  std::string address_;
  bool lost_ = false;
  TimePoint since_;
  co::Gate running_;
  io::HelperThread control_;
};

// Opens the sessions of one store, one after the other.
class SessionSource {
 public:
  struct Words {
    const char* store;   // "image"
    const char* server;  // "the cluster"
    const char* closed;  // why there is no session now
  };

  virtual ~SessionSource() = default;
  virtual Words words() const = 0;
  // So many old sessions may wait for their last operations. With more, no new one is opened.
  virtual std::size_t most_old() const = 0;
  // Begins to open a session, and goes on until stop() or take(). May throw std::bad_alloc.
  virtual void begin() = 0;
  virtual StoreSource::State state() = 0;
  // Call it once, in the state `opened`. May throw std::bad_alloc.
  virtual std::unique_ptr<AccessSession> take() = 0;
  virtual void stop() = 0;
};

}  // namespace ballast::backend
