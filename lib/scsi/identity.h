// SPDX-License-Identifier: Apache-2.0
// Who a logical unit is: what INQUIRY says of it that does not depend on its medium.
//
// Pure functions. Pages are written to the front of a span that is all zeros; 0: there is no such
// page, or not here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "lib/scsi/command.h"

namespace ballast::scsi {

// Vital product data pages (SPC-5, 7.7; SBC-4, 6.6).
enum Page : std::uint8_t {
  supported_pages = 0x00,
  unit_serial_number = 0x80,
  device_identification = 0x83,
  block_limits_page = 0xb0,
  block_characteristics = 0xb1,
  logical_block_provisioning = 0xb2,
};

inline constexpr std::array<std::uint8_t, 6> pages = {
    supported_pages,   unit_serial_number,    device_identification,
    block_limits_page, block_characteristics, logical_block_provisioning};

struct Identity {
  std::string vendor = "BALLAST";  // T10 VENDOR IDENTIFICATION: 8 ASCII bytes, padded
  std::string product = "DISK";    // PRODUCT IDENTIFICATION: 16, the backstore's name, say
  std::string revision = "0001";   // PRODUCT REVISION LEVEL: 4
  // The unit serial number from configfs (wwn/vpd_unit_serial): VPD page 80, and in page 83 the
  // NAA designator that is made of it (naa.h). Up to 252 ASCII bytes; empty: no designator, and
  // by-id links and multipath do not work.
  std::string unit_serial;
};

// The longest page: two designators, one with a serial number of 252 bytes.
inline constexpr std::size_t longest_page = 4 + 4 + 8 + 16 + 1 + 252 + 4 + 16;
inline constexpr std::size_t page_header = 4;

// PAGE CODE and PAGE LENGTH; returns the length of all of it.
std::size_t put_page_header(std::span<std::uint8_t> page, std::uint8_t code, std::size_t length);

// Standard INQUIRY data (SPC-5, 6.7.2), to the end of the version descriptors.
using StandardData = std::array<std::uint8_t, 74>;
StandardData standard_data(const Identity& identity);
// Pages 00h, 80h and 83h.
std::size_t identity_page(const Identity& identity, std::uint8_t code, std::span<std::uint8_t> out);

// Data-in for a command, cut to what its CDB (`allocation_length`) and the initiator have room for;
// GOOD.
Status reply(Command& command, std::span<const std::uint8_t> data, std::size_t allocation_length);

}  // namespace ballast::scsi
