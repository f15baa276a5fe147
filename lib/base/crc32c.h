// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli), the checksum of iSCSI (RFC 7143, 13.1) and of the write log.
//
// crc32c() uses the processor's instruction (SSE4.2) where there is one. Any thread; no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ballast {

// The checksum of `bytes`. To checksum several pieces as one, pass the checksum of those before.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0);

// The same without the instruction.
std::uint32_t crc32c_by_table(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace ballast
