// SPDX-License-Identifier: Apache-2.0
// NbdLinks: the connections of one LUN to its NBD server, each kept up by a link (nbd_link.h).
// Operations ask for the one with the fewest requests, and wait while there is none.
//
// Driving thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/backend/backend.h"
#include "lib/backend/nbd_link.h"
#include "lib/co/event.h"
#include "lib/co/landmark.h"
#include "lib/co/task_group.h"

namespace ballast::backend {

class NbdLinks final : private NbdLink::Listener {
 public:
  // What the owner hears of.
  struct Calls {
    std::function<void()> lost;  // a connection is lost
    // The server has flushed since renew() was called with this mark.
    std::function<void(std::uint64_t mark)> flushed;
  };
  // `promised` outlives the links; its size may change. `peers`: one at least.
  NbdLinks(co::Executor& executor, io::Uring& uring, NbdLink::Setup setup, const NbdOffer& promised,
           std::vector<NbdPeer> peers, Calls calls);
  NbdLinks(const NbdLinks&) = delete;
  NbdLinks& operator=(const NbdLinks&) = delete;

  co::Executor& executor() { return executor_; }
  // Begins to keep the links up, unless that was done. The first operation does this, because a
  // backend that was never used may be destroyed unclosed.
  void start();
  // The connection with the fewest requests; null while there is none.
  NbdConnection* usable() const;
  // Waits until there may be a connection, or until the links are closing. Returns false if it was
  // cancelled.
  co::Event::Waiter wait(co::CancelToken cancel);
  // How many connections were lost so far.
  std::uint64_t losses() const { return losses_; }

  // For people: see Backend.
  Connection state() const { return {.state = word(connected_), .since = since_}; }
  static constexpr const char* word(bool connected) {
    return connected ? "connected" : "reconnecting";
  }
  std::string waits_for() const;

  // A connection knows the size that the export had when it was made. So a change of size needs new
  // ones. The present ones end as soon as nothing is under way on them, each with a flush. One
  // whose flush fails counts as lost: the server may have restarted while nobody asked it anything.
  // `mark`: how many changes had been acknowledged.
  void renew(std::uint64_t mark);
  // The same, and waits for the new ones, for `patience` at most.
  co::Task<void> renew_and_wait(std::uint64_t mark, Nanoseconds patience);
  // 0 while a connection is missing.
  Bytes smallest_export() const;

  // From now on no connection is made, and nobody waits for one.
  void stop_connecting();
  bool closing() const { return closing_; }
  // Ends the connections. Nothing is under way on them.
  co::Task<void> close();

 private:
  friend struct Anatomy;
  void link_lost() override;
  void link_found() override;
  void link_flushed(std::uint64_t mark) override { calls_.flushed(mark); }

  co::Executor& executor_;
  const std::string server_;
  const Calls calls_;
  std::vector<std::unique_ptr<NbdLink>> links_;
  co::TaskGroup keepers_;
  co::Event usable_;  // a connection is up, or closing_
  bool started_ = false;
  bool closing_ = false;
  bool connected_ = true;  // a connection is up, as far as is known
  TimePoint since_;        // connected_ has had its value
  std::uint64_t losses_ = 0;
  const co::Landmark landmark_;
};

}  // namespace ballast::backend
