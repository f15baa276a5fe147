// SPDX-License-Identifier: Apache-2.0
// How long commands were in each stage: a histogram for each, of the commands that spent time
// there. Buckets are powers of two of a nanosecond, so a counter more for each command costs next
// to nothing. A plain value, copied for a snapshot. Driving thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/units.h"
#include "lib/watch/command_record.h"

namespace ballast::watch {

class StageTimes {
 public:
  // The last bucket also has everything longer than its bound, 18 min.
  static constexpr std::size_t bucket_count = 41;
  // Inclusive. `bucket` is below bucket_count.
  static Nanoseconds upper_bound(std::size_t bucket);

  struct Times {
    std::array<std::uint64_t, bucket_count> buckets{};
    Nanoseconds sum{};  // stays at the largest value rather than wrap

    std::uint64_t count() const;
  };

  // Adds where a command has been until `now`.
  void add(const CommandRecord& record, TimePoint now);
  const Times& in(Stage stage) const { return times_[static_cast<std::size_t>(stage)]; }

 private:
  static void add(Times& times, Nanoseconds time);
  std::array<Times, stage_count> times_{};
};

}  // namespace ballast::watch
