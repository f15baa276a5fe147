// SPDX-License-Identifier: Apache-2.0
// Parameter lists of EXTENDED COPY (LID1) for tests, built field by field after SPC-4, 6.4.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "lib/base/big_endian.h"
#include "lib/scsi/naa.h"

namespace ballast::test {

// The unit serial of the LUNs that the rigs make.
inline constexpr std::string_view copy_serial = "3d2f0e1c-77aa-4b55-9c01-0123456789ab";

struct CopyRange {
  std::uint64_t from;
  std::uint64_t to;
  std::uint64_t blocks;
};

// Where the descriptors are in a list that names its LUN once.
inline constexpr std::size_t cscd_at = 16;
inline constexpr std::size_t segment_at = 48;

// Has descriptor `cscd` name another LUN.
inline void name_lun(std::vector<std::uint8_t>& list, std::size_t cscd, std::string_view serial) {
  const scsi::Naa naa = scsi::naa_of(serial);
  std::copy(naa.begin(), naa.end(),
            list.begin() + static_cast<std::ptrdiff_t>(cscd_at + cscd * 32 + 8));
}

// A list that names one LUN `cscds` times, and copies these ranges within it.
inline std::vector<std::uint8_t> copy_list(const std::vector<CopyRange>& ranges,
                                           std::size_t cscds = 1) {
  std::vector<std::uint8_t> list(16 + cscds * 32 + ranges.size() * 28);
  put16(list, 2, cscds * 32);
  put32(list, 8, ranges.size() * 28);
  std::size_t at = 16;
  for (std::size_t i = 0; i < cscds; ++i, at += 32) {
    list[at] = 0xe4;
    list[at + 4] = 0x01;
    list[at + 5] = 0x03;
    list[at + 7] = 16;
    const scsi::Naa naa = scsi::naa_of(copy_serial);
    std::copy(naa.begin(), naa.end(), list.begin() + static_cast<std::ptrdiff_t>(at) + 8);
    put16(list, at + 30, 512);
  }
  for (const CopyRange& range : ranges) {
    list[at] = 0x02;
    put16(list, at + 2, 24);
    put16(list, at + 6, cscds - 1);
    put16(list, at + 10, range.blocks);
    put64(list, at + 12, range.from);
    put64(list, at + 20, range.to);
    at += 28;
  }
  return list;
}

inline std::vector<std::uint8_t> copy_cdb(std::size_t list_length) {
  std::vector<std::uint8_t> cdb(16);
  cdb[0] = 0x83;
  put32(cdb, 10, list_length);
  return cdb;
}

}  // namespace ballast::test
