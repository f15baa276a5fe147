// SPDX-License-Identifier: Apache-2.0
// WriteDepth: how many changes may be at a store at once, beside reads.
//
// A disk takes changes into its queue and its cache faster than it writes them. A read that comes
// then waits for all of them. So the number of changes at the store follows the slowest read: if a
// read in the last window took longer than the target, the number is halved. After a while of good
// windows it grows by one. While nobody reads, it grows by one each window, up to `most`.
//
// Where reads take long without changes, as on another machine, fewer changes would not help. So
// the target is at least three times what a read takes that comes where one change is at most.
//
// A plain value: no thread, no allocation, no clock of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/units.h"

namespace ballast::backend {

class WriteDepth {
 public:
  static constexpr Nanoseconds window = std::chrono::milliseconds{100};
  static constexpr std::uint32_t good_windows = 20;   // with reads, before one more change
  static constexpr std::uint32_t quiet_windows = 20;  // without, before it grows each window

  static constexpr int times_usual = 3;
  static constexpr int reads_remembered = 16;
  // A freeze must not be taken for what is usual.
  static constexpr int most_targets = 4;

  // It begins with `most`, at least 1.
  WriteDepth(Nanoseconds target, std::size_t most) : target_{target}, most_{most}, depth_{most} {}

  std::size_t depth() const { return depth_; }
  void set_target(Nanoseconds target) { target_ = target; }
  // A read has ended that was at the store for `took`; `undisturbed`: one change at most
  // was there when it came.
  void read_ended(Nanoseconds took, bool undisturbed);
  // Call it before depth() is used. `oldest`: the age of the oldest read that is at the store now,
  // 0 if there is none.
  void look(TimePoint now, Nanoseconds oldest);

 private:
  void end_window(Nanoseconds slowest);
  Nanoseconds bound() const { return std::max(target_, usual_ * times_usual); }
  void pass_quietly(std::int64_t windows);
  Nanoseconds target_;
  std::size_t most_;
  std::size_t depth_;
  TimePoint window_end_{};
  Nanoseconds slowest_{};  // of the reads that ended in this window
  Nanoseconds usual_{};    // what a read takes that is undisturbed, on average
  bool read_ = false;      // whether there were any
  std::uint32_t good_ = 0;
  std::int64_t quiet_ = 0;
};

}  // namespace ballast::backend
