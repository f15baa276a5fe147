// SPDX-License-Identifier: Apache-2.0
// A histogram of latencies with fixed buckets. There are eight to each doubling, from 1 us (1024
// ns) to about 18 min, so a percentile is at most one part in eight too high, and never too low. A
// shorter latency counts as 1 us; a longer one is in the last bucket. Adding takes a few
// instructions and allocates nothing. A plain value, copied for a snapshot. Driving thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/units.h"

namespace ballast::watch {

class Histogram {
 public:
  static constexpr std::size_t buckets_per_doubling = 8;
  static constexpr std::size_t doublings = 30;
  static constexpr std::size_t bucket_count = buckets_per_doubling * doublings + 1;

  void add(Nanoseconds latency);
  std::uint64_t count() const { return count_; }
  Nanoseconds longest() const { return longest_; }
  Nanoseconds sum() const { return sum_; }  // stays at the largest value rather than wrap
  // The upper bound of the bucket in which the `fraction`-quantile lies (0.99: p99), at most
  // longest(); 0 if nothing was added. fraction in (0, 1].
  Nanoseconds quantile(double fraction) const;

  // For code that exports the buckets themselves. `bucket` is below bucket_count. Bounds are
  // inclusive, and a higher bucket has a higher bound.
  std::uint64_t count_in(std::size_t bucket) const;
  static Nanoseconds upper_bound(std::size_t bucket);

 private:
  static std::size_t bucket_of(Nanoseconds latency);
  std::array<std::uint64_t, bucket_count> buckets_{};
  std::uint64_t count_ = 0;
  Nanoseconds sum_{};
  Nanoseconds longest_{};
};

}  // namespace ballast::watch
