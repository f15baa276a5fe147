// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/nbd_traits.h"

#include <algorithm>
#include <cstdint>

namespace ballast::backend {

Geometry nbd_geometry(const NbdOffer& offer, Bytes size, Bytes logical_block) {
  const std::uint64_t preferred = offer.preferred.value();
  const bool plausible = preferred <= 65536 && (preferred & (preferred - 1)) == 0;
  const Bytes physical{plausible && preferred != 0 ? preferred : 4096};
  Geometry geometry{.size = size,
                    .logical_block = logical_block,
                    .physical_block = std::max(physical, logical_block),
                    .discard_granularity = Bytes{}};
  if (offer.trim) {
    geometry.discard_granularity = geometry.physical_block;
  }
  return geometry;
}

// TRIM promises nothing about what is read afterwards. WRITE_ZEROES without NO_HOLE gives space
// back where the server can, and promises zeros. So it serves for both where the server has it.
Capabilities nbd_capabilities(const NbdOffer& offer, NbdConfig::Exclusive exclusive) {
  const bool changes = !offer.read_only;
  return Capabilities{.read_only = offer.read_only,
                      .discard = changes && offer.trim,
                      .discard_zeroes = changes && offer.trim && offer.zero,
                      .zero = changes && offer.zero,
                      .zero_unmaps = changes && offer.trim && offer.zero,
                      .fua = changes && (offer.fua || offer.flush),
                      .volatile_cache = changes && offer.flush,
                      .write_through = true,
                      .block_status = offer.block_status,
                      .exclusive = exclusive == NbdConfig::Exclusive::server};
}

}  // namespace ballast::backend
