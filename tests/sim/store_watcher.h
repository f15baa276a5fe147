// SPDX-License-Identifier: Apache-2.0
// StoreWatcher: is told what a simulated store does to its blocks on its own account, in the moment
// when it does so. No answer tells an initiator of it.
#pragma once

#include <cstdint>

#include "tests/sim/content.h"

namespace ballast::sim {

class StoreWatcher {
 public:
  // The server has lost landings on `block`. The newest that it keeps is number `kept`.
  virtual void lost(std::uint32_t block, Content before, Content now, std::uint32_t kept) = 0;
  // A request of a connection that was lost has landed on `block`, on an export that lets the next
  // client in meanwhile.
  virtual void landed_late(std::uint32_t block, Content now) = 0;
  // An operation that was under way when the store did one of these has landed on `block`, perhaps
  // for the second time.
  virtual void landed_again(std::uint32_t block, Content now) = 0;
  // From now on no flush may end well, because acknowledged data may be lost. opened() ends that.
  virtual void flushes_must_fail() = 0;
  virtual void opened() = 0;

 protected:
  ~StoreWatcher() = default;
};

}  // namespace ballast::sim
