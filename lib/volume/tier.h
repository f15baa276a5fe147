// SPDX-License-Identifier: Apache-2.0
// Tier: where the operations of a volume wait.
//
// There may be a log in front of the store (lib/backend/log_coverage.h). The two answer and hang
// independently of each other. So the volume admits operations to each tier separately, and the
// task set (lib/scsi/task_set.h) watches each tier separately. Without a log, everything is in the
// store's tier.
//
// An operation that needs both tiers waits in the store's: the store is the slow one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/backend/log_coverage.h"
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

// What an operation needs: the blocks that it reads; if there are none, a change or a flush.
struct Need {
  Lba lba{};
  BlockCount reads{};
};

// The tier in which an operation waits if it begins now. `log`: null if there is none.
inline Tier tier_of(const backend::LogCoverage* log, const Need& need) {
  if (log == nullptr) {
    return Tier::store;
  }
  const bool in_log =
      need.reads.value() > 0 ? log->covers(need.lba, need.reads) : log->takes_changes();
  return in_log ? Tier::log : Tier::store;
}

}  // namespace ballast::volume
