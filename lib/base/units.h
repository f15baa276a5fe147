// SPDX-License-Identifier: Apache-2.0
// Numbers that know what they count: bytes, logical blocks, block addresses, time.
//
// Each is one machine word, and mixing them does not compile. Arithmetic that could wrap is
// asserted. Check a range taken from a CDB with fits() before you make an Lba and a BlockCount of
// it.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

#include "lib/base/assert.h"

namespace ballast {

using Nanoseconds = std::chrono::nanoseconds;  // durations, and ages

// A point on the clock of an executor (co::Clock): monotonic, from an arbitrary start.
struct TimePoint {
  Nanoseconds since_start{};
  friend constexpr auto operator<=>(const TimePoint&, const TimePoint&) = default;
  friend constexpr TimePoint operator+(TimePoint at, Nanoseconds by) {
    return TimePoint{at.since_start + by};
  }
  friend constexpr Nanoseconds operator-(TimePoint later, TimePoint earlier) {
    return later.since_start - earlier.since_start;
  }
};

template <class Tag>
class Count {
 public:
  constexpr Count() = default;
  constexpr explicit Count(std::uint64_t value) : value_{value} {}
  constexpr std::uint64_t value() const { return value_; }

  friend constexpr auto operator<=>(const Count&, const Count&) = default;
  friend constexpr Count operator+(Count a, Count b) {
    BALLAST_ASSERT(a.value_ + b.value_ >= a.value_);
    return Count{a.value_ + b.value_};
  }
  friend constexpr Count operator-(Count a, Count b) {
    BALLAST_ASSERT(a.value_ >= b.value_);
    return Count{a.value_ - b.value_};
  }
  constexpr Count& operator+=(Count other) { return *this = *this + other; }
  constexpr Count& operator-=(Count other) { return *this = *this - other; }

 private:
  std::uint64_t value_ = 0;
};

using Bytes = Count<struct BytesTag>;            // a length or an offset in bytes
using BlockCount = Count<struct BlockCountTag>;  // a number of logical blocks

// A logical block address.
class Lba {
 public:
  constexpr Lba() = default;
  constexpr explicit Lba(std::uint64_t value) : value_{value} {}
  constexpr std::uint64_t value() const { return value_; }
  friend constexpr auto operator<=>(const Lba&, const Lba&) = default;
  friend constexpr Lba operator+(Lba at, BlockCount by) {
    BALLAST_ASSERT(at.value_ + by.value() >= at.value_);
    return Lba{at.value_ + by.value()};
  }
  friend constexpr BlockCount operator-(Lba later, Lba earlier) {
    BALLAST_ASSERT(later.value_ >= earlier.value_);
    return BlockCount{later.value_ - earlier.value_};
  }

 private:
  std::uint64_t value_ = 0;
};

// Whether [lba, lba + count) lies within a medium of `capacity` blocks; never wraps.
constexpr bool fits(std::uint64_t lba, std::uint64_t count, BlockCount capacity) {
  return count <= capacity.value() && lba <= capacity.value() - count;
}

namespace literals {
constexpr Bytes operator""_B(unsigned long long n) {
  return Bytes{n};
}
constexpr Bytes operator""_KiB(unsigned long long n) {
  return Bytes{n << 10};
}
constexpr Bytes operator""_MiB(unsigned long long n) {
  return Bytes{n << 20};
}
constexpr Bytes operator""_GiB(unsigned long long n) {
  return Bytes{n << 30};
}
}  // namespace literals

}  // namespace ballast
