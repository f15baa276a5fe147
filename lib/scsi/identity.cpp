// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/identity.h"

#include <algorithm>
#include <string_view>

#include "lib/scsi/cdb.h"
#include "lib/scsi/naa.h"

namespace ballast::scsi {

namespace {

// Fills a field with printable ASCII, padded with spaces (SPC-5, 4.3.1).
void put_ascii(std::span<std::uint8_t> to, std::string_view text) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    const char c = i < text.size() ? text[i] : ' ';
    to[i] = static_cast<std::uint8_t>(c >= 0x20 && c <= 0x7e ? c : '.');
  }
}

// SPC-5, 7.7.6: T10 vendor identification, and NAA.
std::size_t put_designators(const Identity& identity, std::span<std::uint8_t> out) {
  constexpr std::size_t header = 4;
  constexpr std::size_t naa_length = sizeof(Naa);
  const std::string_view serial = std::string_view{identity.unit_serial}.substr(0, 252 - 25);
  const std::size_t t10_length = 8 + 16 + (serial.empty() ? 0 : 1 + serial.size());
  out[0] = 0x02;  // ASCII
  out[1] = 0x01;  // T10 vendor identification, of the logical unit
  out[3] = static_cast<std::uint8_t>(t10_length);
  const std::span<std::uint8_t> t10 = out.subspan(header, t10_length);
  put_ascii(t10.first(8), identity.vendor);
  put_ascii(t10.subspan(8, 16), identity.product);
  if (serial.empty()) {
    return header + t10_length;
  }
  t10[24] = ':';
  put_ascii(t10.subspan(25), serial);
  const std::span<std::uint8_t> second = out.subspan(header + t10_length);
  second[0] = 0x01;  // binary
  second[1] = 0x03;  // NAA, of the logical unit
  second[3] = naa_length;
  const Naa naa = naa_of(identity.unit_serial);
  std::copy(naa.begin(), naa.end(), second.subspan(header, naa_length).begin());
  return 2 * header + t10_length + naa_length;
}

}  // namespace

std::size_t put_page_header(std::span<std::uint8_t> page, std::uint8_t code, std::size_t length) {
  page[1] = code;
  put16(page, 2, length);
  return page_header + length;
}

StandardData standard_data(const Identity& identity) {
  StandardData data{};
  data[2] = 0x06;  // SPC-4
  data[3] = 0x02;
  data[4] = static_cast<std::uint8_t>(data.size() - 5);
  data[7] = 0x02;  // CMDQUE
  put_ascii(std::span{data}.subspan(8, 8), identity.vendor);
  put_ascii(std::span{data}.subspan(16, 16), identity.product);
  put_ascii(std::span{data}.subspan(32, 4), identity.revision);
  put16(data, 58, 0x00a0);  // SAM-5
  put16(data, 60, 0x0460);  // SPC-4
  put16(data, 62, 0x04c0);  // SBC-3
  return data;
}

std::size_t identity_page(const Identity& identity, std::uint8_t code,
                          std::span<std::uint8_t> out) {
  const std::span<std::uint8_t> body = out.subspan(page_header);
  std::size_t length = 0;
  switch (code) {
    case supported_pages:
      std::copy(pages.begin(), pages.end(), body.begin());
      length = pages.size();
      break;
    case unit_serial_number:
      length = std::min<std::size_t>(identity.unit_serial.size(), 252);
      put_ascii(body.first(length), identity.unit_serial);
      break;
    case device_identification:
      length = put_designators(identity, body);
      break;
    default:
      return 0;
  }
  return put_page_header(out, code, length);
}

Status reply(Command& command, std::span<const std::uint8_t> data, std::size_t allocation_length) {
  const std::size_t length = std::min({data.size(), allocation_length, command.data.size()});
  io::copy(command.data.slice(0, length), std::as_bytes(data.first(length)));
  command.transferred = length;
  return Status::good;
}

}  // namespace ballast::scsi
