// SPDX-License-Identifier: Apache-2.0
// INQUIRY: the standard data and the vital product data pages.
#include <algorithm>
#include <string_view>

#include "lib/scsi/cdb.h"
#include "lib/scsi/disk.h"
#include "lib/scsi/naa.h"
#include "lib/scsi/thresholds.h"

namespace ballast::scsi {

namespace {

// Room for the longest page: two designators of the logical unit, one of them with a serial number,
// and two of the port.
constexpr std::size_t longest_page = 4 + 4 + 8 + 16 + 1 + 252 + 4 + 16 + 8 + 8;

enum Page : std::uint8_t {
  supported_pages = 0x00,
  unit_serial_number = 0x80,
  device_identification = 0x83,
  block_limits_page = 0xb0,
  block_characteristics = 0xb1,
  logical_block_provisioning = 0xb2,
};
constexpr std::array<std::uint8_t, 6> pages = {supported_pages,       unit_serial_number,
                                               device_identification, block_limits_page,
                                               block_characteristics, logical_block_provisioning};

// Fills a field with printable ASCII, padded with spaces (SPC-5, 4.3.1).
void put_ascii(std::span<std::uint8_t> to, std::string_view text) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    const char c = i < text.size() ? text[i] : ' ';
    to[i] = static_cast<std::uint8_t>(c >= 0x20 && c <= 0x7e ? c : '.');
  }
}

// The designator of the target port by which the command came: RELATIVE TARGET PORT IDENTIFIER (4h)
// or TARGET PORT GROUP (5h). Returns its length.
std::size_t put_port_designator(std::span<std::uint8_t> out, std::uint8_t type,
                                std::uint16_t number) {
  constexpr std::uint8_t binary = 0x01;
  constexpr std::uint8_t of_the_port = 0x10;
  out[0] = binary;
  out[1] = static_cast<std::uint8_t>(of_the_port | type);
  out[3] = 4;
  put16(out, 6, number);
  return 8;
}

}  // namespace

Status Disk::inquiry(Command& command) {
  const bool evpd = (command.cdb[1] & 0x01) != 0;
  const std::uint8_t code = command.cdb[2];
  const std::size_t allocation_length = be16(command.cdb, 3);
  if (evpd) {
    std::array<std::uint8_t, longest_page> page{};
    const std::size_t length = vital_page(code, page);
    if (length == 0) {
      return fail(command, invalid_field_in_cdb(2));
    }
    return reply(command, std::span{page}.first(length), allocation_length);
  }
  if (code != 0) {
    return fail(command, invalid_field_in_cdb(2));
  }
  // Standard data (SPC-5, 6.7.2), up to the end of the version descriptors.
  std::array<std::uint8_t, 74> data{};
  data[2] = 0x06;  // SPC-4
  data[3] = 0x02;
  data[4] = static_cast<std::uint8_t>(data.size() - 5);
  // TPGS: explicit; 3PC
  data[5] = static_cast<std::uint8_t>((has_groups() ? 0x20 : 0) | (has_name() ? 0x08 : 0));
  data[7] = 0x02;  // CMDQUE
  put_ascii(std::span{data}.subspan(8, 8), config_.vendor);
  put_ascii(std::span{data}.subspan(16, 16), config_.product);
  put_ascii(std::span{data}.subspan(32, 4), config_.revision);
  put16(data, 58, 0x00a0);  // SAM-5
  put16(data, 60, 0x0460);  // SPC-4
  put16(data, 62, 0x04c0);  // SBC-3
  return reply(command, data, allocation_length);
}

// Fills in a page, whose bytes are all 0 before. Returns its length, or 0 if there is no such page.
std::size_t Disk::vital_page(std::uint8_t code, std::span<std::uint8_t> out) const {
  constexpr std::size_t header = 4;
  const std::span<std::uint8_t> body = out.subspan(header);
  std::size_t length = 0;
  switch (code) {
    case supported_pages:
      std::copy(pages.begin(), pages.end(), body.begin());
      length = pages.size();
      break;
    case unit_serial_number: {
      length = std::min<std::size_t>(config_.unit_serial.size(), 252);
      put_ascii(body.first(length), config_.unit_serial);
      break;
    }
    case device_identification:
      length = designators(body);
      break;
    case block_limits_page:
      length = block_limits(body);
      break;
    case block_characteristics:  // SBC-4, 6.6.3
      length = 60;
      // 1: it does not rotate; 0: the rate is not reported, because it is not known
      put16(body, 0, volume_.geometry().rotational ? 0 : 1);
      break;
    case logical_block_provisioning: {  // SBC-4, 6.6.7
      length = 4;
      const bool write_same = write_same_unmaps();
      body[0] = modes_.has_threshold() ? threshold_exponent(volume_.logical_block()) : 0;
      body[1] = static_cast<std::uint8_t>((unmaps() ? 0x80 : 0) | (write_same ? 0x60 : 0) |
                                          (unmapped_reads_zero() ? 0x04 : 0));
      body[2] = unmaps() ? 0x02 : 0x00;  // PROVISIONING TYPE: thin; not reported
      break;
    }
    default:
      return 0;
  }
  out[1] = code;
  put16(out, 2, length);
  return header + length;
}

// SPC-5, 7.7.6: a T10 vendor identification, an NAA designator if there is a serial number, and the
// port and its group if there are groups.
std::size_t Disk::designators(std::span<std::uint8_t> out) const {
  constexpr std::size_t header = 4;
  constexpr std::size_t naa_length = sizeof(Naa);
  const std::string_view serial = std::string_view{config_.unit_serial}.substr(0, 252 - 25);
  const std::size_t t10_length = 8 + 16 + (serial.empty() ? 0 : 1 + serial.size());
  out[0] = 0x02;  // ASCII
  out[1] = 0x01;  // T10 vendor identification, of the logical unit
  out[3] = static_cast<std::uint8_t>(t10_length);
  const std::span<std::uint8_t> t10 = out.subspan(header, t10_length);
  put_ascii(t10.first(8), config_.vendor);
  put_ascii(t10.subspan(8, 16), config_.product);
  std::size_t length = header + t10_length;
  if (!serial.empty()) {
    t10[24] = ':';
    put_ascii(t10.subspan(25), serial);
    const std::span<std::uint8_t> second = out.subspan(length);
    second[0] = 0x01;  // binary
    second[1] = 0x03;  // NAA, of the logical unit
    second[3] = naa_length;
    const Naa naa = naa_of(config_.unit_serial);
    std::copy(naa.begin(), naa.end(), second.subspan(header, naa_length).begin());
    length += header + naa_length;
  }
  if (has_groups()) {
    length += put_port_designator(out.subspan(length), 0x4, config_.groups.own_port);
    length += put_port_designator(out.subspan(length), 0x5, config_.groups.own_group);
  }
  return length;
}

bool Disk::looks_like(const Disk& other) const {
  return std::all_of(pages.begin(), pages.end(), [&](std::uint8_t code) {
    std::array<std::uint8_t, longest_page> mine{};
    std::array<std::uint8_t, longest_page> others{};
    return vital_page(code, mine) == other.vital_page(code, others) && mine == others;
  });
}

// SBC-4, 6.6.4. at() takes an offset in the page, which has a header of four bytes before `out`.
std::size_t Disk::block_limits(std::span<std::uint8_t> out) const {
  constexpr std::size_t header = 4;
  const std::span<std::uint8_t> page = out;
  const auto at = [](std::size_t offset) { return offset - header; };
  page[at(4)] = 0x01;  // WSNZ
  page[at(5)] = compare_and_write_max_blocks();
  put16(page, at(6), std::uint64_t{1} << config_.physical_block_exponent);
  put32(page, at(8), config_.max_transfer_blocks);
  if (unmaps()) {
    const std::uint64_t granularity =
        volume_.blocks_in(volume_.geometry().discard_granularity).value();
    put32(page, at(20), unmap_max_blocks());
    put32(page, at(24), config_.unmap_descriptors);
    put32(page, at(28), std::max<std::uint64_t>(granularity, 1));
    put32(page, at(32), 0x80000000);  // UGAVALID, alignment 0
  }
  put64(page, at(36), write_same_max_blocks());
  return 60;
}

}  // namespace ballast::scsi
