// SPDX-License-Identifier: Apache-2.0
// LogCoverage: what a log in front of a store serves instead of the store.
//
// A backend may have a log: a fast device of this machine that takes changes over, and has the
// newest data of some blocks until the store has them. The backend says here which operations need
// nothing of the store at this moment, so that its user does not count them among those that wait
// for it. The answers may change with each turn. Addresses are logical blocks of the LUN. Driving
// thread only.
#pragma once

#include "lib/base/units.h"

namespace ballast::backend {

class LogCoverage {
 public:
  // Whether changes and flushes need nothing of the store.
  virtual bool takes_changes() const = 0;
  // Whether they go to the store itself, because the log is not used any more. A log that has no
  // room now, or slows its writers, is used all the same.
  virtual bool is_passed_by() const = 0;
  // Whether a read of these blocks needs nothing of the store.
  virtual bool covers(Lba lba, BlockCount count) const = 0;
  // Whether a read of some of these blocks is at the store. It may have begun when the log had all
  // of its blocks, and the log may have newer data of them now.
  virtual bool reads_store(Lba lba, BlockCount count) const = 0;

 protected:
  ~LogCoverage() = default;
};

}  // namespace ballast::backend
