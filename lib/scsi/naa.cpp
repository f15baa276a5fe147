// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/naa.h"

#include <algorithm>
#include <cstddef>
#include <span>

namespace ballast::scsi {
namespace {

constexpr std::string_view prefix = "6001405";
constexpr std::size_t digits_of_all = 32;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool is_hexadecimal(std::string_view serial) {
  return std::all_of(serial.begin(), serial.end(),
                     [](char c) { return c == '-' || hex_digit(c) >= 0; });
}

// FNV-1a (Fowler, Noll, Vo) with 64 bits.
constexpr std::uint64_t fnv_begin = 0xcbf29ce484222325U;
std::uint64_t fnv(std::uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) {
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3U;
  }
  return hash;
}

void put_hash(std::string_view serial, std::span<std::uint8_t> digits) {
  const std::uint64_t first = fnv(fnv_begin, serial);
  const std::uint64_t second = fnv(first, std::string_view{"\0", 1});
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const std::uint64_t word = i < 16 ? first : second;
    digits[i] = static_cast<std::uint8_t>(word >> (60 - 4 * (i % 16)) & 0xf);
  }
}

}  // namespace

Naa naa_of(std::string_view unit_serial) {
  std::array<std::uint8_t, digits_of_all> digits{};
  std::size_t count = 0;
  for (const char c : prefix) {
    digits[count++] = static_cast<std::uint8_t>(hex_digit(c));
  }
  if (!is_hexadecimal(unit_serial)) {
    put_hash(unit_serial, std::span{digits}.subspan(count));
    unit_serial = {};
  }
  for (const char c : unit_serial) {
    if (c != '-' && count < digits.size()) {
      digits[count++] = static_cast<std::uint8_t>(hex_digit(c));
    }
  }
  Naa naa{};
  for (std::size_t i = 0; i < naa.size(); ++i) {
    naa[i] = static_cast<std::uint8_t>(digits[2 * i] << 4 | digits[2 * i + 1]);
  }
  return naa;
}

std::string to_string(const Naa& naa) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : naa) {
    text += hex[byte >> 4];
    text += hex[byte & 0xf];
  }
  return text;
}

}  // namespace ballast::scsi
