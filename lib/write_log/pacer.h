// SPDX-License-Identifier: Apache-2.0
// Pacer: slows writers down before the log is full, so that it does not fill up.
//
// Until three quarters of the log are used, blocks close as they come. From there on a block of the
// log closes only some time after the one before it. That time is what the store needs for as many
// bytes as the one before has, times a factor that rises with the log: 0 at 75 %, 1 half-way, 19 at
// 94 %. At 95 % blocks wait until the log is less full. So the writers slow down bit by bit, and
// the log comes to rest where they are as fast as the store. The time is looked at again whenever
// room comes.
//
// How fast the store is: the bytes that the last batches took off the log, by the time that the
// reaper worked on them. When that time is more than a second, the sum is halved before the next
// batch, so the last few batches count most. Before the first batch nothing is known, and nobody is
// slowed.
//
// A store that stands still is no reason to slow anybody: it would be like a log that is full
// already. It counts as such when it has ended no operation well for a second, and for twice the
// longest time between two of them in the last batches (of which 10 s count). Then blocks close as
// they come until the log is full. What waits then, waits for room.
//
// While the log is to get empty, writers are slowed to half of what the store takes, however little
// is in it. So that takes about twice the time in which the store takes what was there.
//
// Driving thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "lib/base/units.h"
#include "lib/write_log/ring.h"

namespace ballast::write_log {

class Pacer {
 public:
  static constexpr std::uint64_t from = 750;  // of 1000 of the ring
  static constexpr std::uint64_t upto = 950;
  static constexpr double emptying = 2;  // the least factor while the log is to get empty
  static constexpr Nanoseconds memory = std::chrono::seconds{1};
  static constexpr Nanoseconds patience = std::chrono::seconds{1};
  static constexpr Nanoseconds longest_gap = std::chrono::seconds{10};

  explicit Pacer(const Ring& ring) : ring_{ring} {}

  // The reaper begins to work on a batch.
  void begins(TimePoint now);
  // The store ended an operation of it well.
  void answered(TimePoint now);
  // The batch has given back so many bytes of the ring.
  void trimmed(std::uint64_t bytes, TimePoint now);

  // A block of this length closed.
  void took(std::uint64_t bytes, TimePoint now) {
    last_bytes_ = bytes;
    last_at_ = now;
  }
  // The log is to get empty, until then.
  void empty_until(TimePoint until) { empty_until_ = until; }

  // How many bytes of the log the store takes in a second. Nothing: not known yet.
  std::optional<std::uint64_t> speed() const { return speed_of(bytes_, time_); }
  static std::optional<std::uint64_t> speed_of(std::uint64_t bytes, Nanoseconds time);

  // When the next block may close, if nothing changes until then. It is not after `now` if it may
  // now.
  TimePoint next(TimePoint now) const;

 private:
  friend struct Anatomy;
  // When the store stands still, if it answers nothing until then.
  TimePoint still_at() const { return answered_ + std::max(patience, 2 * longest_); }

  const Ring& ring_;
  std::uint64_t bytes_ = 0;  // of the last batches
  Nanoseconds time_{};       // that they took
  Nanoseconds longest_{};    // between two answers of the store in them
  bool working_ = false;     // a batch has begun, and not ended well
  TimePoint began_{};        // when it did
  TimePoint answered_{};     // when the store did last
  std::uint64_t last_bytes_ = 0;
  TimePoint last_at_{};
  TimePoint empty_until_{};
};

}  // namespace ballast::write_log
