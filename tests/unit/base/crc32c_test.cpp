// SPDX-License-Identifier: Apache-2.0
#include "lib/base/crc32c.h"

#include <array>
#include <random>
#include <string_view>
#include <vector>

#include "tests/cmocka.h"

using namespace ballast;

namespace {

constexpr std::array both{&crc32c, &crc32c_by_table};

void check(std::span<const std::uint8_t> bytes, std::uint32_t expected) {
  for (const auto way : both) {
    assert_int_equal(way(std::as_bytes(bytes), 0), expected);
  }
}

// RFC 7143, appendix A.4. The RFC shows the bytes as they are sent.
void the_examples_of_iscsi_have_their_checksums(void**) {
  std::array<std::uint8_t, 32> bytes{};
  check(bytes, 0x8a9136aa);
  bytes.fill(0xff);
  check(bytes, 0x62a8ab43);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(i);
  }
  check(bytes, 0x46dd794e);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(31 - i);
  }
  check(bytes, 0x113fdb5c);
  // An iSCSI READ (10) command PDU.
  constexpr std::array<std::uint8_t, 48> read{
      0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
      0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
  check(read, 0xd9963a56);
}

// Of "123456789", the check value by which catalogues of checksums know it.
void the_check_value_is_that_of_crc_32c(void**) {
  constexpr std::array<std::uint8_t, 9> digits{'1', '2', '3', '4', '5', '6', '7', '8', '9'};
  check(digits, 0xe3069283);
  check({}, 0);
}

void both_ways_agree_on_every_length_and_alignment(void**) {
  std::mt19937 random{1};
  std::vector<std::uint8_t> bytes(4096 + 64);
  for (std::uint8_t& byte : bytes) {
    byte = static_cast<std::uint8_t>(random());
  }
  const std::span<const std::byte> all = std::as_bytes(std::span{bytes});
  for (std::size_t from = 0; from < 16; ++from) {
    for (std::size_t length = 0; length < 64; ++length) {
      const std::span<const std::byte> piece = all.subspan(from, length);
      assert_int_equal(crc32c(piece), crc32c_by_table(piece));
    }
    assert_int_equal(crc32c(all.subspan(from, 4096)), crc32c_by_table(all.subspan(from, 4096)));
  }
}

void pieces_have_the_checksum_of_the_whole(void**) {
  std::array<std::uint8_t, 100> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(i * 7);
  }
  const std::span<const std::byte> all = std::as_bytes(std::span{bytes});
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    for (const auto way : both) {
      assert_int_equal(way(all.subspan(cut), way(all.first(cut), 0)), way(all, 0));
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(the_examples_of_iscsi_have_their_checksums),
      cmocka_unit_test(the_check_value_is_that_of_crc_32c),
      cmocka_unit_test(both_ways_agree_on_every_length_and_alignment),
      cmocka_unit_test(pieces_have_the_checksum_of_the_whole),
  };
  return cmocka_run_group_tests_name("crc32c", tests, nullptr, nullptr);
}
