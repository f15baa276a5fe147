// SPDX-License-Identifier: Apache-2.0
// Reads and writes the big-endian fields of CDBs, parameter lists and pages.
//
// An offset outside the span is a bug (asserted): callers check lengths before they read fields.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "lib/base/assert.h"

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

template <std::size_t n>
constexpr std::uint64_t big_endian(std::span<const std::uint8_t> from, std::size_t offset) {
  static_assert(n >= 1 && n <= 8);
  BALLAST_ASSERT(offset <= from.size() && n <= from.size() - offset);
  // Read with one load if possible, because every READ and WRITE does this.
  if constexpr (n == 2 || n == 4 || n == 8) {
    if (!std::is_constant_evaluated()) {
      using Word = std::conditional_t<n == 8, std::uint64_t,
                                      std::conditional_t<n == 4, std::uint32_t, std::uint16_t>>;
      Word word;
      std::memcpy(&word, from.data() + offset, n);
      return n == 8   ? __builtin_bswap64(word)
             : n == 4 ? __builtin_bswap32(static_cast<std::uint32_t>(word))
                      : __builtin_bswap16(static_cast<std::uint16_t>(word));
    }
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < n; ++i) {
    value = value << 8 | from[offset + i];
  }
  return value;
}
constexpr std::uint16_t be16(std::span<const std::uint8_t> from, std::size_t offset) {
  return static_cast<std::uint16_t>(big_endian<2>(from, offset));
}
constexpr std::uint32_t be24(std::span<const std::uint8_t> from, std::size_t offset) {
  return static_cast<std::uint32_t>(big_endian<3>(from, offset));
}
constexpr std::uint32_t be32(std::span<const std::uint8_t> from, std::size_t offset) {
  return static_cast<std::uint32_t>(big_endian<4>(from, offset));
}
constexpr std::uint64_t be64(std::span<const std::uint8_t> from, std::size_t offset) {
  return big_endian<8>(from, offset);
}

// Writes the n low bytes of `value`.
template <std::size_t n>
constexpr void put_big_endian(std::span<std::uint8_t> to, std::size_t offset, std::uint64_t value) {
  static_assert(n >= 1 && n <= 8);
  BALLAST_ASSERT(offset <= to.size() && n <= to.size() - offset);
  for (std::size_t i = n; i-- > 0; value >>= 8) {
    to[offset + i] = static_cast<std::uint8_t>(value);
  }
}
constexpr void put16(std::span<std::uint8_t> to, std::size_t offset, std::uint64_t value) {
  put_big_endian<2>(to, offset, value);
}
constexpr void put32(std::span<std::uint8_t> to, std::size_t offset, std::uint64_t value) {
  put_big_endian<4>(to, offset, value);
}
constexpr void put64(std::span<std::uint8_t> to, std::size_t offset, std::uint64_t value) {
  put_big_endian<8>(to, offset, value);
}

}  // namespace ballast::scsi
