// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/format.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "lib/base/crc32c.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;

namespace {

using Bytes4K = std::array<std::byte, page>;

Uuid uuid(std::uint8_t from) {
  Uuid id{};
  for (std::uint8_t& byte : id) {
    byte = from++;
  }
  return id;
}

Superblock a_superblock() {
  Superblock superblock;
  superblock.slot_sequence = 41;
  superblock.log = uuid(1);
  superblock.store = uuid(101);
  superblock.owner = 7;
  superblock.incarnation = 12;
  superblock.lun = Bytes{std::uint64_t{10} << 30};
  superblock.segments = 63;
  superblock.tail = {.sequence = 900, .offset = ring_begin + 8 * page, .link = 0xdeadbeef};
  superblock.durable = 977;
  superblock.host = "gateway1";
  superblock.store_name = "rbd=pool/image";
  return superblock;
}

Bytes4K encoded(const Superblock& superblock) {
  Bytes4K bytes;
  encode(superblock, bytes);
  return bytes;
}

const Sizes sizes = sizes_of(a_superblock());

// A record behind those that the header has.
void add(Header* header, Kind kind, std::uint64_t lba, std::uint64_t blocks,
         std::vector<std::byte>* payload) {
  Record& record = header->records[header->record_count++];
  record = {.lba = Lba{lba}, .blocks = BlockCount{blocks}, .kind = kind};
  const std::uint64_t bytes = payload_of(record, sizes.block);
  if (bytes == 0) {
    return;
  }
  record.payload = static_cast<std::uint32_t>(page + payload->size());
  record.first_checksum = header->checksum_count;
  for (std::uint64_t at = 0; at < bytes; at += page) {
    const std::size_t begin = payload->size();
    for (std::uint64_t i = at; i < std::min<std::uint64_t>(bytes, at + page); ++i) {
      payload->push_back(static_cast<std::byte>(lba + i / 7));
    }
    header->checksums[header->checksum_count++] = crc32c(std::span{*payload}.subspan(begin));
  }
}

Header an_empty_header(std::uint64_t sequence) {
  Header header;
  header.self = {.sequence = sequence, .offset = ring_begin + 16 * page, .link = 0x12345678};
  header.incarnation = 12;
  header.epoch = 3;
  header.log = uuid(1);
  header.owner = 7;
  header.durable = sequence - 1;
  header.tail = 900;
  return header;
}

Header a_header(std::vector<std::byte>* payload) {
  Header header = an_empty_header(978);
  add(&header, Kind::data, 100, 8, payload);
  add(&header, Kind::zero, 5000, 100'000, payload);
  add(&header, Kind::data, 7, 1, payload);
  add(&header, Kind::unmap, 1'000'000, 2048, payload);
  add(&header, Kind::data, 2000, 19, payload);
  header.length = 5 * page;
  return header;
}

Bytes4K encoded(const Header& header) {
  Bytes4K bytes;
  (void)encode(header, sizes, bytes);
  return bytes;
}

Result<Header> decoded(const Bytes4K& bytes) {
  return decode_header(bytes, sizes, ring_begin + 16 * page, "log.img at 1114112");
}

template <class T>
void assert_refused(const Result<T>& result, const char* part) {
  assert_false(result.ok());
  assert_non_null(std::strstr(result.error().message.c_str(), part));
}

void a_superblock_comes_back_as_it_was(void**) {
  const Superblock before = a_superblock();
  const Result<Superblock> after = decode_superblock(encoded(before), "log.img at 0");
  assert_true(after.ok());
  assert_true(after.value() == before);
}

void a_header_comes_back_as_it_was(void**) {
  std::vector<std::byte> payload;
  const Header before = a_header(&payload);
  Bytes4K bytes;
  const std::uint32_t link = encode(before, sizes, bytes);
  const Result<Header> after = decoded(bytes);
  assert_true(after.ok());
  assert_true(after.value() == before);
  assert_int_equal(link, checksum_of_header(bytes));
}

void the_largest_block_fits(void**) {
  Header header = an_empty_header(1000);
  std::vector<std::byte> payload;
  for (std::size_t i = 0; i < most_records; ++i) {
    add(&header, Kind::data, i * 1000, 31, &payload);  // three pages and a rest
  }
  header.length = longest_block;
  const Result<Header> after = decoded(encoded(header));
  assert_true(after.ok() && after.value() == header);
}

template <class Decode>
void assert_every_flip_is_refused(Bytes4K bytes, Decode decode) {
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    const bool refused = !decode(bytes).ok();
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    if (!refused) {
      std::fprintf(stderr, "bit %zu is wrong, and nothing is refused\n", bit);
    }
    assert_true(refused);
  }
  assert_true(decode(bytes).ok());
}

void a_superblock_with_any_bit_wrong_is_refused(void**) {
  assert_every_flip_is_refused(encoded(a_superblock()), [](const Bytes4K& bytes) {
    return decode_superblock(bytes, "log.img at 0");
  });
}

void a_header_with_any_bit_wrong_is_refused(void**) {
  std::vector<std::byte> payload;
  assert_every_flip_is_refused(encoded(a_header(&payload)), &decoded);
}

void a_payload_with_any_bit_wrong_is_noticed(void**) {
  std::vector<std::byte> payload;
  const Header header = a_header(&payload);
  for (const Record& record : header.all_records()) {
    const std::uint64_t bytes = payload_of(record, sizes.block);
    if (bytes == 0) {
      continue;
    }
    const std::span<std::byte> its = std::span{payload}.subspan(record.payload - page, bytes);
    assert_true(is_payload(header, record, its));
    for (std::size_t bit = 0; bit < bytes * 8; bit += 5) {
      its[bit / 8] ^= std::byte{1} << (bit % 8);
      assert_false(is_payload(header, record, its));
      its[bit / 8] ^= std::byte{1} << (bit % 8);
    }
  }
}

// Seals the page again after a byte was changed, as a buggy writer would.
Bytes4K with_byte(Bytes4K bytes, std::size_t at, std::uint8_t value) {
  bytes[at] = std::byte{value};
  std::fill_n(bytes.begin() + 8, 4, std::byte{});
  const std::uint32_t crc = crc32c(bytes);
  std::memcpy(bytes.data() + 8, &crc, sizeof(crc));
  return bytes;
}

void each_refusal_says_what_is_wrong(void**) {
  assert_refused(decode_superblock(Bytes4K{}, "log.img at 0"),
                 "log.img at 0: no superblock of a write log is there");
  Bytes4K bytes = encoded(a_superblock());
  bytes[4000] = std::byte{1};
  assert_refused(decode_superblock(bytes, "log.img at 0"), "the superblock is damaged, or its");
  bytes = encoded(a_superblock());
  assert_refused(decode_superblock(with_byte(bytes, 12, 2), "log.img at 0"),
                 "has version 2 of the format, and this Ballast knows version 1");
  std::vector<std::byte> payload;
  const Bytes4K header = encoded(a_header(&payload));
  assert_refused(decode_header(header, sizes, ring_begin, "here"),
                 "here: the block was written to offset 1114112, and read from offset 1048576");
  assert_refused(decoded(encoded(a_superblock())), "no block of a write log is there");
}

// What a checksum does not find: whatever the bytes say, decoding ends with a sentence or with
// something that could have been encoded.
void what_makes_no_sense_is_refused_though_its_checksum_is_right(void**) {
  std::vector<std::byte> payload;
  const Bytes4K header = encoded(a_header(&payload));
  const Bytes4K superblock = encoded(a_superblock());
  std::size_t refused = 0;
  for (std::size_t at = 12; at < page; ++at) {
    for (const std::uint8_t value : std::array<std::uint8_t, 4>{0x00, 0x01, 0x7f, 0xff}) {
      const Bytes4K bad_header = with_byte(header, at, value);
      const Result<Header> found = decoded(bad_header);
      refused += found.ok() ? 0U : 1U;
      if (found.ok()) {
        Bytes4K again;
        (void)encode(found.value(), sizes, again);  // asserts that it is well formed
      }
      const Result<Superblock> other = decode_superblock(with_byte(superblock, at, value), "here");
      if (other.ok()) {
        (void)encoded(other.value());
      }
    }
  }
  assert_true(refused > 100);
  // The first record's kind, payload, first checksum and blocks; the block's length and counts.
  for (const std::size_t at : std::array<std::size_t, 7>{148, 140, 144, 136, 76, 96, 100}) {
    assert_refused(decoded(with_byte(header, at, 0xff)), "the block makes no sense");
  }
}

void a_block_that_crosses_its_segment_is_not_encoded(void**) {
  assert_true(test::aborts([] {
    Header header = an_empty_header(5000);
    header.self.offset = ring_begin + segment_bytes - page;
    header.length = 2 * page;
    (void)encoded(header);
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_superblock_comes_back_as_it_was),
      cmocka_unit_test(a_header_comes_back_as_it_was),
      cmocka_unit_test(the_largest_block_fits),
      cmocka_unit_test(a_superblock_with_any_bit_wrong_is_refused),
      cmocka_unit_test(a_header_with_any_bit_wrong_is_refused),
      cmocka_unit_test(a_payload_with_any_bit_wrong_is_noticed),
      cmocka_unit_test(each_refusal_says_what_is_wrong),
      cmocka_unit_test(what_makes_no_sense_is_refused_though_its_checksum_is_right),
      cmocka_unit_test(a_block_that_crosses_its_segment_is_not_encoded),
  };
  return cmocka_run_group_tests_name("format", tests, nullptr, nullptr);
}
