// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "lib/base/assert.h"

namespace ballast::watch {

namespace {

// Bucket 0 ends here. A power of two, so that shifts find the others.
constexpr unsigned unit_bits = 10;
constexpr std::uint64_t unit_ns = std::uint64_t{1} << unit_bits;
constexpr unsigned step_bits = 3;
static_assert(Histogram::buckets_per_doubling == std::size_t{1} << step_bits);

}  // namespace

std::size_t Histogram::bucket_of(Nanoseconds latency) {
  const auto ns = static_cast<std::uint64_t>(std::max(latency, Nanoseconds{}).count());
  if (ns <= unit_ns) {
    return 0;
  }
  // Bounds are inclusive. So the leading bits of the time less one nanosecond give the bucket.
  const std::uint64_t below = ns - 1;
  const auto doubling = static_cast<unsigned>(std::bit_width(below)) - 1 - unit_bits;
  const std::uint64_t step =
      (below >> (doubling + unit_bits - step_bits)) & (buckets_per_doubling - 1);
  const std::uint64_t bucket = 1 + std::uint64_t{doubling} * buckets_per_doubling + step;
  return std::min<std::uint64_t>(bucket, bucket_count - 1);
}

Nanoseconds Histogram::upper_bound(std::size_t bucket) {
  BALLAST_ASSERT(bucket < bucket_count);
  if (bucket == 0) {
    return Nanoseconds{unit_ns};
  }
  const std::size_t doubling = (bucket - 1) / buckets_per_doubling;
  const std::uint64_t step = (bucket - 1) % buckets_per_doubling;
  return Nanoseconds{(buckets_per_doubling + step + 1) << (doubling + unit_bits - step_bits)};
}

std::uint64_t Histogram::count_in(std::size_t bucket) const {
  BALLAST_ASSERT(bucket < bucket_count);
  return buckets_[bucket];
}

void Histogram::add(Nanoseconds latency) {
  latency = std::max(latency, Nanoseconds{});
  ++buckets_[bucket_of(latency)];
  ++count_;
  longest_ = std::max(longest_, latency);
  sum_ = sum_ > Nanoseconds::max() - latency ? Nanoseconds::max() : sum_ + latency;
}

Nanoseconds Histogram::quantile(double fraction) const {
  BALLAST_ASSERT(fraction > 0);
  BALLAST_ASSERT(fraction <= 1);
  if (count_ == 0) {
    return Nanoseconds{};
  }
  const double wanted = std::ceil(fraction * static_cast<double>(count_));
  const std::uint64_t rank =
      std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket + 1 < bucket_count; ++bucket) {
    seen += buckets_[bucket];
    if (seen >= rank) {
      return std::min(upper_bound(bucket), longest_);
    }
  }
  return longest_;  // in the last bucket, whose contents have no bound
}

}  // namespace ballast::watch
