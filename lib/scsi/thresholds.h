// SPDX-License-Identifier: Apache-2.0
// The unit in which initiators see how much room a store has, and the soft threshold for it: a
// threshold set (SBC-4, 4.7.3.7.2). All counts of sets have 32 bits.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "lib/base/units.h"

namespace ballast::scsi {

inline constexpr Bytes threshold_set{std::uint64_t{1} << 20};

// THRESHOLD EXPONENT: a set has 2 to this power blocks.
constexpr std::uint8_t threshold_exponent(Bytes logical_block) {
  return static_cast<std::uint8_t>(std::countr_zero(threshold_set.value()) -
                                   std::countr_zero(logical_block.value()));
}
// Whole sets.
constexpr std::uint32_t sets_in(Bytes bytes) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(bytes.value() / threshold_set.value(), UINT32_MAX));
}

}  // namespace ballast::scsi
