// SPDX-License-Identifier: Apache-2.0
// LogControl: what an operator may know of a log in front of a store, and ask of it.
//
// Driving thread only.
#pragma once

#include "lib/base/units.h"
#include "lib/watch/log_view.h"

namespace ballast::backend {

class LogControl {
 public:
  virtual watch::LogView view() const = 0;

  // All that the log has now is written back as fast as the store takes it. It is so when the
  // view's `first` is above what `last` was.
  virtual void hurry() = 0;

  // The store gets everything, and then needs its log no more: its label names no log, and changes
  // go to the store directly, for as long as this backend lives. The log's device is closed.
  //
  // A wish holds for wish_lasts. Whoever has it repeats it until the view's state is "let go". If
  // it is not repeated, the log is used as before.
  static constexpr Nanoseconds wish_lasts = std::chrono::seconds{10};
  virtual void want_to_let_go() = 0;

 protected:
  ~LogControl() = default;
};

}  // namespace ballast::backend
