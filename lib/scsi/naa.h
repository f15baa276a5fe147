// SPDX-License-Identifier: Apache-2.0
// The NAA designator of a LUN (SPC-5, 7.7.6.6.5). multipath and /dev/disk/by-id identify disks by
// it, and take two LUNs with the same NAA for one disk.
//
// The digit 6, the IEEE company id 001405 that LIO uses, then 25 hexadecimal digits made of the
// unit serial:
//
//   hexadecimal digits and dashes only, as in a UUID    its first 25 digits, zeros where it is
//                                                       shorter: LIO's rule, so that a LUN keeps
//                                                       its name when its backstore changes kind
//   anything else                                       digits of a hash of all its bytes: 64-bit
//                                                       FNV-1a (16 digits), then the first 9 digits
//                                                       of the same over the serial and a 0 byte
//
// LIO leaves out all characters that are not hexadecimal digits, which would give vol-x and vol-y
// the same name. The rule must stay as it is: to every initiator, a changed NAA is another disk.
// Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ballast::scsi {

using Naa = std::array<std::uint8_t, 16>;

Naa naa_of(std::string_view unit_serial);
// Returns 32 digits: "6001405…".
std::string to_string(const Naa& naa);

}  // namespace ballast::scsi
