// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/stage_times.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "lib/base/assert.h"

namespace ballast::watch {

Nanoseconds StageTimes::upper_bound(std::size_t bucket) {
  BALLAST_ASSERT(bucket < bucket_count);
  return Nanoseconds{std::int64_t{1} << bucket};
}

std::uint64_t StageTimes::Times::count() const {
  return std::accumulate(buckets.begin(), buckets.end(), std::uint64_t{0});
}

void StageTimes::add(Times& times, Nanoseconds time) {
  // Bounds are inclusive, so the bits of the time less one nanosecond give the bucket.
  const auto bits =
      static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(time.count()) - 1));
  ++times.buckets[std::min(bits, bucket_count - 1)];
  times.sum = times.sum > Nanoseconds::max() - time ? Nanoseconds::max() : times.sum + time;
}

void StageTimes::add(const CommandRecord& record, TimePoint now) {
  // Within a turn no time passes. So most commands have been at the backend all the time, or in one
  // other stage as well.
  const Nanoseconds at_backend = record.time_in(Stage::backend, now);
  if (at_backend > Nanoseconds{}) {
    add(times_[static_cast<std::size_t>(Stage::backend)], at_backend);
  }
  Nanoseconds elsewhere = record.age(now) - at_backend;
  for (std::size_t i = 0; i < stage_count && elsewhere > Nanoseconds{}; ++i) {
    const auto stage = static_cast<Stage>(i);
    const Nanoseconds time = record.time_in(stage, now);
    if (stage != Stage::backend && time > Nanoseconds{}) {
      add(times_[i], time);
      elsewhere -= time;
    }
  }
}

}  // namespace ballast::watch
