// SPDX-License-Identifier: Apache-2.0
#include "lib/base/crc32c.h"

#include <nmmintrin.h>

#include <array>
#include <cstring>

namespace ballast {
namespace {

constexpr std::uint32_t polynomial = 0x82f63b78;  // 0x1edc6f41 with its bits reversed

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
    }
    table[byte] = crc;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> table = make_table();

std::uint64_t word_at(std::span<const std::byte> bytes, std::size_t index) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + index * sizeof(word), sizeof(word));
  return word;
}

[[gnu::target("sse4.2")]] std::uint32_t by_instruction(std::span<const std::byte> bytes,
                                                       std::uint32_t before) {
  std::uint64_t crc = ~before;
  // Eight words a turn: with one, three of four instructions are the loop's own.
  constexpr std::size_t turn = 8 * sizeof(std::uint64_t);
  for (; bytes.size() >= turn; bytes = bytes.subspan(turn)) {
    crc = _mm_crc32_u64(crc, word_at(bytes, 0));
    crc = _mm_crc32_u64(crc, word_at(bytes, 1));
    crc = _mm_crc32_u64(crc, word_at(bytes, 2));
    crc = _mm_crc32_u64(crc, word_at(bytes, 3));
    crc = _mm_crc32_u64(crc, word_at(bytes, 4));
    crc = _mm_crc32_u64(crc, word_at(bytes, 5));
    crc = _mm_crc32_u64(crc, word_at(bytes, 6));
    crc = _mm_crc32_u64(crc, word_at(bytes, 7));
  }
  for (; bytes.size() >= sizeof(std::uint64_t); bytes = bytes.subspan(sizeof(std::uint64_t))) {
    crc = _mm_crc32_u64(crc, word_at(bytes, 0));
  }
  auto rest = static_cast<std::uint32_t>(crc);
  for (const std::byte byte : bytes) {
    rest = _mm_crc32_u8(rest, std::to_integer<std::uint8_t>(byte));
  }
  return ~rest;
}

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) {
  return __builtin_cpu_supports("sse4.2") != 0 ? by_instruction(bytes, before)
                                               : crc32c_by_table(bytes, before);
}

std::uint32_t crc32c_by_table(std::span<const std::byte> bytes, std::uint32_t before) {
  std::uint32_t crc = ~before;
  for (const std::byte byte : bytes) {
    crc = (crc >> 8) ^ table[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
  }
  return ~crc;
}

}  // namespace ballast
