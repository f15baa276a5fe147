// SPDX-License-Identifier: Apache-2.0
// Content: what a block holds, in a form that shows the origin of its bytes.
//
// An initiator fills every block that it writes from a Content. This says to which data the block
// belongs, which block of that data it is, and which of a few one-byte differences it has. Retries
// carry the same data, so they leave the same contents. Any other two blocks differ in nearly every
// byte. A block of zeros is Content{}. Bytes that no initiator ever sent, such as half of one
// content and half of another, are `torn`.
//
// Plain values. The blocks of the simulation have 512 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ballast::sim {

inline constexpr std::size_t block_size = 512;

class Content {
 public:
  static constexpr std::uint32_t most_blocks = 128;  // of one piece of data
  static constexpr std::uint32_t variants = 4;       // 0: unchanged; the others differ in one byte

  constexpr Content() = default;
  // `data`: 1 to 2^23 - 1.
  constexpr Content(std::uint32_t data, std::uint32_t block, std::uint32_t variant)
      : bits_{data << 9 | block << 2 | variant} {}
  static constexpr Content torn() { return from_bits(0xffffffff); }

  constexpr bool zero() const { return bits_ == 0; }
  constexpr bool is_torn() const { return bits_ == 0xffffffff; }
  constexpr std::uint32_t data() const { return bits_ >> 9; }
  constexpr std::uint32_t block() const { return bits_ >> 2 & (most_blocks - 1); }
  constexpr std::uint32_t variant() const { return bits_ & (variants - 1); }
  friend constexpr bool operator==(const Content&, const Content&) = default;
  friend constexpr auto operator<=>(const Content&, const Content&) = default;

  // Fills exactly one block.
  void put(std::span<std::byte> block) const;
  // Reads the content of exactly one block.
  static Content of(std::span<const std::byte> block);
  // The offset of the first byte in which a block of this content differs from `block`; block_size:
  // none.
  std::size_t first_difference(std::span<const std::byte> block) const;

  // "zeros", "data 17 block 3", "data 17 block 3 variant 1", "torn"
  std::string name() const;

 private:
  static constexpr Content from_bits(std::uint32_t bits) {
    Content content;
    content.bits_ = bits;
    return content;
  }
  std::uint32_t bits_ = 0;
};

}  // namespace ballast::sim
