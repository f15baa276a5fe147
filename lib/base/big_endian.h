// SPDX-License-Identifier: Apache-2.0
// Reads and writes big-endian fields, as SCSI has them in CDBs, parameter lists and pages.
//
// An offset outside the span is a bug (asserted): callers check lengths before they read fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "lib/base/assert.h"

namespace ballast {

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

}  // namespace ballast
