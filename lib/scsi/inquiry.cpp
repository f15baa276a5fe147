// SPDX-License-Identifier: Apache-2.0
// INQUIRY: what the unit is, and the vital product data pages.
#include <algorithm>

#include "lib/scsi/cdb.h"
#include "lib/scsi/disk.h"
#include "lib/scsi/identity.h"

namespace ballast::scsi {

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
  return reply(command, standard_data(config_.identity), allocation_length);
}

// Fills in a page, all zeros so far; 0 for a page that there isn't.
std::size_t Disk::vital_page(std::uint8_t code, std::span<std::uint8_t> out) const {
  const std::span<std::uint8_t> body = out.subspan(page_header);
  std::size_t length = 0;
  switch (code) {
    case block_limits_page:
      length = block_limits(body);
      break;
    case block_characteristics:  // SBC-4, 6.6.3
      length = 60;
      // 1: does not rotate; 0: no rate is reported, since none is known.
      put16(body, 0, volume_.geometry().rotational ? 0 : 1);
      break;
    case logical_block_provisioning: {  // SBC-4, 6.6.7
      length = 4;
      const bool write_same = write_same_unmaps();
      body[1] = static_cast<std::uint8_t>((unmaps() ? 0x80 : 0) | (write_same ? 0x60 : 0) |
                                          (unmapped_reads_zero() ? 0x04 : 0));
      body[2] = unmaps() ? 0x02 : 0x00;  // PROVISIONING TYPE: thin; not reported
      break;
    }
    default:
      return identity_page(config_.identity, code, out);
  }
  return put_page_header(out, code, length);
}

bool Disk::looks_like(const Disk& other) const {
  return std::all_of(pages.begin(), pages.end(), [&](std::uint8_t code) {
    std::array<std::uint8_t, longest_page> mine{};
    std::array<std::uint8_t, longest_page> others{};
    return vital_page(code, mine) == other.vital_page(code, others) && mine == others;
  });
}

// SBC-4, 6.6.4. Offsets are those of the page, less its header of four.
std::size_t Disk::block_limits(std::span<std::uint8_t> out) const {
  const std::span<std::uint8_t> page = out;
  const auto at = [](std::size_t offset) { return offset - page_header; };
  page[at(4)] = 0x01;  // WSNZ
  page[at(5)] = compare_and_write_max_blocks();
  put16(page, at(6), std::uint64_t{1} << config_.physical_block_exponent);
  put32(page, at(8), config_.max_transfer_blocks);
  put32(page, at(12), config_.optimal_transfer_blocks);
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
