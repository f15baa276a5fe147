// SPDX-License-Identifier: Apache-2.0
// The pattern by which the takeover tests see a late write: the first byte of each block says who
// wrote it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "tests/ring/support.h"

namespace ballast::rbd_test {

inline constexpr std::size_t blocks = 256;
inline constexpr std::size_t block_bytes = 16384;
inline constexpr std::uint32_t block_lbas = block_bytes / 512;
inline constexpr std::byte old_owners{0xAA};

ring_test::LunOptions sized_for_blocks();
std::vector<std::byte> block_of(std::byte writer);

// Writes random blocks of the old owner, `depth` at once, until the LUN says of each that it lost
// its image: CHECK CONDITION, NOT READY.
class OldOwner {
 public:
  static constexpr int depth = 32;
  explicit OldOwner(ring_test::Lun& lun);
  // How many are still writing.
  int live() const { return live_.load(); }
  std::size_t good() const { return good_.load(); }

 private:
  struct Writer {
    OldOwner* all = nullptr;
    std::vector<std::byte> data = block_of(old_owners);
    std::mt19937 random;
    void next();
    static void answered(void* self, const ring_test::Answer& answer);
  };
  ring_test::Lun& lun_;
  std::atomic<int> live_{depth};
  std::atomic<std::size_t> good_{0};
  std::vector<Writer> writers_{depth};
};

// Each block must be written. False: one was not.
bool write_all(ring_test::Lun& lun, std::byte writer);
// How many blocks are not `writer`'s, or cannot be read.
std::size_t blocks_that_differ(ring_test::Lun& lun, std::byte writer);

}  // namespace ballast::rbd_test
