// SPDX-License-Identifier: Apache-2.0
// Tier: where the operations of a volume wait.
//
// A volume may have a log in front of its store: a fast device of this machine that takes changes
// over, and has the newest data of some blocks until the store has them. The two answer and hang
// independently of each other. So the volume admits operations to each tier separately, and the
// task set (lib/scsi/task_set.h) watches each tier separately. Without a log, everything is in the
// store's tier.
//
// An operation that needs both tiers waits in the store's: the store is the slow one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/units.h"

namespace ballast::volume {

enum class Tier : std::uint8_t { store, log };
inline constexpr std::array tiers{Tier::store, Tier::log};

constexpr Tier slower(Tier a, Tier b) {
  return a == Tier::store ? a : b;
}

// One T for each tier.
template <class T>
struct PerTier {
  T& operator[](Tier tier) { return all[static_cast<std::size_t>(tier)]; }
  const T& operator[](Tier tier) const { return all[static_cast<std::size_t>(tier)]; }
  std::array<T, tiers.size()> all;
};

// What the log serves instead of the store. It may change with each turn. Driving thread only.
class LogCoverage {
 public:
  virtual ~LogCoverage() = default;
  // Whether changes and flushes need nothing of the store.
  virtual bool takes_changes() const = 0;
  // Whether a read of these blocks needs nothing of the store.
  virtual bool covers(Lba lba, BlockCount count) const = 0;
};

}  // namespace ballast::volume
