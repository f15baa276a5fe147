// SPDX-License-Identifier: Apache-2.0
// The CDBs that tests send, written from the text of SBC-4 and SPC-5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace ballast::ring_test {

struct Cdb {
  std::uint8_t bytes[16]{};
  std::size_t length = 0;

  Cdb() = default;
  Cdb(std::initializer_list<unsigned> from) {
    for (const unsigned byte : from) {
      bytes[length++] = static_cast<std::uint8_t>(byte);
    }
  }
  operator std::span<const std::uint8_t>() const { return {bytes, length}; }
};

// Opcode, byte 1, 8 bytes of address, 4 of length: READ, WRITE, WRITE SAME, VERIFY, ... (16).
inline Cdb cdb_16(unsigned opcode, std::uint64_t lba, std::uint32_t blocks, unsigned byte_1 = 0) {
  Cdb cdb{opcode, byte_1};
  for (unsigned i = 0; i < 8; ++i) {
    cdb.bytes[2 + i] = static_cast<std::uint8_t>(lba >> (56 - 8 * i));
  }
  for (unsigned i = 0; i < 4; ++i) {
    cdb.bytes[10 + i] = static_cast<std::uint8_t>(blocks >> (24 - 8 * i));
  }
  cdb.length = 16;
  return cdb;
}

// The same with 4 bytes of address and 2 of length.
inline Cdb cdb_10(unsigned opcode, std::uint32_t lba, std::uint16_t blocks, unsigned byte_1 = 0) {
  return Cdb{opcode, byte_1, lba >> 24, lba >> 16, lba >> 8, lba, 0, unsigned{blocks} >> 8,
             blocks, 0};
}

inline Cdb read_16(std::uint64_t lba, std::uint32_t blocks) {
  return cdb_16(0x88, lba, blocks);
}
inline Cdb write_16(std::uint64_t lba, std::uint32_t blocks, bool fua = false) {
  return cdb_16(0x8a, lba, blocks, fua ? 0x08 : 0);
}
inline Cdb start_unit() {
  return Cdb{0x1b, 0, 0, 0, 0x01, 0};
}

inline Cdb test_unit_ready() {
  return Cdb{0, 0, 0, 0, 0, 0};
}
inline Cdb inquiry(unsigned allocation) {
  return Cdb{0x12, 0, 0, allocation >> 8, allocation, 0};
}
inline Cdb inquiry_page(unsigned page, unsigned allocation) {
  return Cdb{0x12, 1, page, allocation >> 8, allocation, 0};
}

}  // namespace ballast::ring_test
