// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/content.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "lib/base/assert.h"

namespace ballast::sim {
namespace {

constexpr std::size_t words = block_size / sizeof(std::uint64_t);
constexpr std::uint64_t mark = 0xba11a57'00000000;  // the upper half of each block's first word

constexpr std::uint64_t word(std::uint32_t bits, std::size_t at) {
  return at == 0 ? mark | bits : (bits + at * 0x9e3779b9U + 1) * 0xbf58476d1ce4e5b9U;
}

// Where a variant differs from the data as it is; never in the first word.
constexpr std::size_t altered_byte(std::uint32_t variant) {
  return sizeof(std::uint64_t) + variant * 151;
}
static_assert(altered_byte(Content::variants - 1) < block_size);

}  // namespace

void Content::put(std::span<std::byte> block) const {
  BALLAST_ASSERT(block.size() == block_size && !is_torn());
  if (zero()) {
    std::fill(block.begin(), block.end(), std::byte{});
    return;
  }
  const std::uint32_t plain = bits_ & ~(variants - 1);
  for (std::size_t i = 0; i < words; ++i) {
    const std::uint64_t value = word(plain, i);
    std::memcpy(block.data() + i * sizeof value, &value, sizeof value);
  }
  if (variant() != 0) {
    block[altered_byte(variant())] ^= std::byte{0x10};
  }
}

Content Content::of(std::span<const std::byte> block) {
  BALLAST_ASSERT(block.size() == block_size);
  std::uint64_t first;
  std::memcpy(&first, block.data(), sizeof first);
  if (first == 0) {
    return Content{}.first_difference(block) == block_size ? Content{} : torn();
  }
  const Content plain = from_bits(static_cast<std::uint32_t>(first));
  if (first >> 32 != mark >> 32 || plain.is_torn() || plain.variant() != 0) {
    return torn();
  }
  if (plain.first_difference(block) == block_size) {
    return plain;
  }
  for (std::uint32_t variant = 1; variant < variants; ++variant) {
    const Content altered = from_bits(plain.bits_ | variant);
    if (altered.first_difference(block) == block_size) {
      return altered;
    }
  }
  return torn();
}

std::size_t Content::first_difference(std::span<const std::byte> block) const {
  std::array<std::byte, block_size> expected;
  put(expected);
  const auto found = std::mismatch(expected.begin(), expected.end(), block.begin(), block.end());
  return static_cast<std::size_t>(found.first - expected.begin());
}

std::string Content::name() const {
  if (zero()) {
    return "zeros";
  }
  if (is_torn()) {
    return "torn";
  }
  return variant() == 0 ? fmt::format("data {} block {}", data(), block())
                        : fmt::format("data {} block {} variant {}", data(), block(), variant());
}

}  // namespace ballast::sim
