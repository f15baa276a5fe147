// SPDX-License-Identifier: Apache-2.0
// PollTrial: whether a thread polls or sleeps until there is something to do, learned by doing
// both.
//
// Polling saves the time that it takes to wake a thread. But it takes a processor away, which the
// other end may need, and it finds commands one by one that would have come together, with one
// answer for all. Nobody can know in advance which weighs more. So the trial measures how much time
// goes by for each command, over a few milliseconds at a time. Now and then it measures the other
// way of waiting in between. If the other way wins several times in a row, it is chosen. A way that
// keeps losing is tried less and less often.
//
// Polling has to be faster by a twentieth before it is chosen; otherwise the processor time is not
// worth it.
//
// One thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/units.h"

namespace ballast::io {

class PollTrial {
 public:
  // A measurement takes this many commands and this much time at least.
  static constexpr std::uint64_t least_commands = 64;
  static constexpr Nanoseconds least_time = std::chrono::milliseconds{10};
  // After a longer pause the other end had nothing to ask for, and the measurement begins anew.
  static constexpr Nanoseconds longest_pause = std::chrono::milliseconds{20};
  // How many measurements of the chosen way come between two of the other one: the fewest, to
  // begin with, and the most, while it keeps losing.
  static constexpr unsigned again_soon = 2;
  static constexpr unsigned again_later = 128;
  static constexpr unsigned wins_to_be_chosen = 3;

  bool polls() const { return chosen_polls_ != trying(); }

  // `commands` have come at `now`.
  void came(std::size_t commands, TimePoint now) {
    if (now - last_ > longest_pause) {
      measure_anew(now);
    } else if (count_ >= least_commands && now - begun_ >= least_time) {
      measured(static_cast<std::uint64_t>((now - begun_).count()) / count_);
      measure_anew(now);
    }
    last_ = now;
    count_ += commands;
  }

  // Polling is known to harm: it is not tried again for long.
  void give_up() {
    chosen_polls_ = false;
    changed_ = false;
    wins_ = 0;
    interval_ = again_later;
    left_ = interval_;
    usual_ = 0;
  }

 private:
  // The other way than the chosen one.
  bool trying() const { return left_ == 0; }

  void measure_anew(TimePoint now) {
    begun_ = now;
    count_ = 0;
  }

  void measured(std::uint64_t ns) {
    if (trying()) {
      tried(ns);
    } else {
      went_on(ns);
    }
  }

  // What the other way took.
  void tried(std::uint64_t ns) {
    const bool won = chosen_polls_ ? ns * 100 < usual_ * 103 : ns * 100 < usual_ * 95;
    wins_ = won ? wins_ + 1 : 0;
    interval_ = won ? again_soon : std::min(interval_ * 2, again_later);
    if (wins_ == wins_to_be_chosen) {
      chosen_polls_ = !chosen_polls_;
      usual_ = ns;
      wins_ = 0;
    }
    left_ = interval_;
  }

  // What the chosen way took.
  void went_on(std::uint64_t ns) {
    const bool differs = usual_ > 0 && (ns > usual_ * 2 || ns * 2 < usual_);
    if (differs && changed_) {
      usual_ = ns;  // other commands than before
      wins_ = 0;
      interval_ = again_soon;
      left_ = std::min(left_, interval_);
    } else {
      usual_ = usual_ == 0 ? ns : (usual_ * 3 + ns) / 4;
    }
    changed_ = differs;
    --left_;
  }

  bool chosen_polls_ = false;
  std::uint64_t usual_ = 0;  // ns for a command in the chosen way; 0: not measured
  bool changed_ = false;     // the last measurement was quite another than usual
  unsigned wins_ = 0;        // of the other way, in a row
  unsigned interval_ = again_soon;
  unsigned left_ = again_soon;  // measurements until the other way is tried
  TimePoint begun_{};
  TimePoint last_{};
  std::uint64_t count_ = 0;  // commands since begun_
};

}  // namespace ballast::io
