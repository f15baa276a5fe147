// SPDX-License-Identifier: Apache-2.0
// What a LUN can promise on an export, from what the server offers. Pure; any thread.
#pragma once

#include "lib/backend/backend.h"
#include "lib/backend/nbd_config.h"
#include "lib/backend/nbd_connect.h"

namespace ballast::backend {

// `size`, `logical_block`: the LUN's.
Geometry nbd_geometry(const NbdOffer& offer, Bytes size, Bytes logical_block);
Capabilities nbd_capabilities(const NbdOffer& offer, NbdConfig::Exclusive exclusive);

}  // namespace ballast::backend
