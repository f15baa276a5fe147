// SPDX-License-Identifier: Apache-2.0
// Takes any bytes as what Ballast keeps of a store: the label on it, and the record in
// /var/lib/ballast. The first byte of the input says which, and with its high bit the checksum of
// the label is put right, so that the fuzzer gets behind it. What is decoded must come back as it
// was.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/backend/label.h"
#include "lib/backend/store_record.h"
#include "lib/base/crc32c.h"
#include "tests/fuzz/check.h"
#include "tests/unit/backend/lab.h"

using namespace ballast;
using namespace ballast::backend;

namespace {

const std::string store = "/srv/vol0.raw";
constexpr std::size_t longest_sentence = 400;

// Gives the bytes the beginning, the length and the checksum of a label (label.cpp).
void seal(std::span<std::byte> bytes) {
  constexpr std::size_t crc_at = 8;
  constexpr std::size_t length_at = 16;
  if (bytes.size() < length_at + sizeof(std::uint32_t)) {
    return;
  }
  std::memcpy(bytes.data(), "BLGLABEL", crc_at);
  const auto length = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(bytes.data() + length_at, &length, sizeof length);
  std::memset(bytes.data() + crc_at, 0, sizeof(std::uint32_t));
  const std::uint32_t crc = crc32c(bytes);
  std::memcpy(bytes.data() + crc_at, &crc, sizeof crc);
}

void try_label(std::span<const std::byte> bytes) {
  const Result<Label> label = decode_label(bytes, "input");
  if (!label.ok()) {
    test::check_sentence(label.error().message, longest_sentence);
    return;
  }
  const Result<std::vector<std::byte>> again = encode_label(label.value(), offset_of_label(bytes));
  test::check(again.ok(), "a label that was decoded cannot be encoded");
  // Behind it there are only zeros.
  test::check(std::ranges::equal(again.value(), bytes.first(again.value().size())),
              "a label has changed");
}

void try_record(std::string_view text) {
  static const test::Folder folder{"/dev/shm"};
  static const StoreRecords records{folder.path()};
  static const std::string file = records.file_of(store);
  std::ofstream{file, std::ios::trunc}.write(text.data(),
                                             static_cast<std::streamsize>(text.size()));
  const Result<std::optional<StoreRecord>> found = records.find(store);
  if (!found.ok()) {
    test::check_sentence(found.error().message, longest_sentence);
    return;
  }
  if (found.value().has_value()) {
    test::check(records.keep(*found.value()).ok(), "a record that was read cannot be kept");
    const Result<std::optional<StoreRecord>> same = records.find(store);
    test::check(same.ok() && same.value() == found.value(), "a record has changed");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  if (size < 2) {
    return 0;
  }
  if ((input[0] & 1) == 0) {
    try_record({reinterpret_cast<const char*>(input) + 1, size - 1});
    return 0;
  }
  std::vector<std::byte> bytes(size - 1);
  std::memcpy(bytes.data(), input + 1, bytes.size());
  if ((input[0] & 0x80) != 0) {
    seal(bytes);
  }
  try_label(bytes);
  return 0;
}
