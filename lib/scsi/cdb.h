// SPDX-License-Identifier: Apache-2.0
// How long a CDB is, and where its fields are (lib/base/big_endian.h reads and writes them).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/base/big_endian.h"

namespace ballast::scsi {

// The length of a CDB by the GROUP CODE of its opcode (SPC-5, 4.2.5.1). 0 for opcodes that are not
// served here: vendor-specific ones (C0-FF), reserved ones (60-7D), and 7F (variable length).
constexpr std::size_t cdb_length(std::uint8_t opcode) {
  constexpr std::array<std::uint8_t, 8> of_group{6, 10, 10, 0, 16, 12, 0, 0};
  return opcode == 0x7e ? 16 : of_group[opcode >> 5];
}

// The offset of the TRANSFER LENGTH in a CDB of this length, in the usual layout. The field has 1,
// 2 or 4 bytes.
constexpr std::size_t count_at(std::size_t length) {
  switch (length) {
    case 6:
      return 4;
    case 10:
      return 7;
    case 12:
      return 6;
    default:
      return 10;
  }
}

}  // namespace ballast::scsi
