// SPDX-License-Identifier: Apache-2.0
// Takes any bytes as the superblock and as a block's header of a write log. The first byte of the
// input says how to go on: with its low bit the checksum is put right, so that the fuzzer gets
// behind it. What is decoded must be well formed (encode() asserts that), and come back as it was.
#include <algorithm>
#include <cstring>

#include "lib/base/crc32c.h"
#include "lib/write_log/format.h"
#include "tests/fuzz/check.h"

using namespace ballast;
using namespace ballast::write_log;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const bool put_right = (input[0] & 1) != 0;
  std::array<std::byte, page> bytes{};
  std::memcpy(bytes.data(), input + 1, std::min(size - 1, bytes.size()));
  if (put_right) {
    // The magic says which of the two it is.
    std::memcpy(bytes.data(), (input[0] & 2) != 0 ? "BLGSUPER" : "BLGBLOCK", 8);
    std::fill_n(bytes.begin() + 8, 4, std::byte{});
    const std::uint32_t crc = crc32c(bytes);
    std::memcpy(bytes.data() + 8, &crc, sizeof(crc));
  }
  std::array<std::byte, page> again{};
  const Result<Superblock> superblock = decode_superblock(bytes, "input");
  if (superblock.ok()) {
    encode(superblock.value(), again);
    const Result<Superblock> same = decode_superblock(again, "again");
    test::check(same.ok() && same.value() == superblock.value(),
                "decoded, encoded and decoded again, it has changed", "superblock");
  }
  const Sizes sizes{.block = 512, .unit = page, .segments = 64};
  std::uint64_t offset = 0;
  std::memcpy(&offset, bytes.data() + 24, sizeof(offset));  // where the header says that it is
  const Result<Header> header = decode_header(bytes, sizes, offset, "input");
  if (header.ok()) {
    (void)encode(header.value(), sizes, again);
    const Result<Header> same = decode_header(again, sizes, offset, "again");
    test::check(same.ok() && same.value() == header.value(),
                "decoded, encoded and decoded again, it has changed", "header");
  }
  return 0;
}
