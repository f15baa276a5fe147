// SPDX-License-Identifier: Apache-2.0
// The settings of an elevator in a configuration string:
// file=/srv/vol0.raw;elevator=on;target_latency=30ms.
#pragma once

#include <cstdint>

#include "lib/backend/backend.h"
#include "lib/backend/elevator.h"
#include "lib/base/keys.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

enum class ElevatorUse : std::uint8_t { off, automatic, on };

struct ElevatorConfig : ElevatorRules {
  ElevatorUse use = ElevatorUse::off;
  friend bool operator==(const ElevatorConfig&, const ElevatorConfig&) = default;
};

config::Keys keys_of(ElevatorConfig& config);
// Checks the limits against the LUN's deadline: what waits longer is answered before its turn.
Result<void> check(const ElevatorConfig& config, Nanoseconds deadline);
// Whether operations at this store go through an elevator. `automatic` means disks that say that
// they rotate: the others, and servers, have no arm whose way could be shortened.
bool is_wanted(const ElevatorConfig& config, const Geometry& store);

}  // namespace ballast::backend
