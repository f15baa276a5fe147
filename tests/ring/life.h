// SPDX-License-Identifier: Apache-2.0
// Everything a LUN does, once, and what its blocks must hold then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/ring/host.h"

namespace ballast::ring_test {

// Each block is full of one value. A change that was answered GOOD is there; one that was not may
// be there or not, block by block.
class Life {
 public:
  Life();
  ~Life();

  // Sends commands of every kind. Whether one is refused is its own business. Returns what is
  // wrong; null: every command was answered.
  const char* run(Lun& lun);
  // Returns what is wrong with the blocks, if that can be read without an error; else "".
  std::string compare(Lun& lun) const;

 private:
  struct Change;
  static constexpr std::size_t block_size = 512;
  static constexpr std::size_t block_count = 1024;
  struct Block {
    std::optional<std::byte> was;  // the last that is certain; nothing: anything
    std::vector<std::byte> may_be;
  };

  const char* run_at_once(Lun& lun);
  void change(Lun& lun, std::span<const std::uint8_t> cdb, std::size_t data_blocks,
              std::size_t first, std::size_t count, std::byte value);
  void ended(std::size_t first, std::size_t count, std::byte value, const Answer& answer);
  void copy(Lun& lun, std::size_t from, std::size_t to, std::size_t count);

  std::vector<Block> blocks_{block_count};
};

}  // namespace ballast::ring_test
