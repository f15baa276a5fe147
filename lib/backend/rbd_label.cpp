// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_label.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "lib/backend/rbd_lock.h"
#include "lib/backend/rbd_metadata.h"

namespace ballast::backend {
namespace {

constexpr const char* key = "ballast.log";

std::string to_digits(const std::vector<std::byte>& bytes) {
  std::string digits;
  for (const std::byte byte : bytes) {
    digits += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  }
  return digits;
}

// Of what is not hexadecimal nothing is left, which is no label.
std::vector<std::byte> from_digits(const std::string& digits) {
  std::vector<std::byte> bytes;
  if (digits.size() % 2 != 0) {
    return bytes;
  }
  for (const char* at = digits.data(); at != digits.data() + digits.size(); at += 2) {
    std::uint8_t byte = 0;
    const auto read = std::from_chars(at, at + 2, byte, 16);
    if (read.ec != std::errc{} || read.ptr != at + 2) {
      return {};
    }
    bytes.push_back(std::byte{byte});
  }
  return bytes;
}

}  // namespace

Result<std::optional<Label>> read_label(RbdConnection& connection, bool has_log) {
  Result<std::optional<std::string>> digits = get_metadata(connection, key, 2 * Label::most_bytes);
  if (!digits && digits.error().errno_value != ERANGE) {
    return Error{digits.error().errno_value,
                 fmt::format("{}: the label of its write log cannot be read: {}", connection.name(),
                             std::strerror(digits.error().errno_value))};
  }
  if (digits && !digits.value().has_value()) {
    return std::optional<Label>{};
  }
  const std::string nothing;  // it is too long to be one
  Result<Label> label =
      decode_label(from_digits(digits ? *digits.value() : nothing), connection.name());
  if (!label) {
    return label.error();
  }
  std::optional<Label> found{std::move(label).value()};
  if (const Result<void> may = check_label(connection.name(), found, has_log); !may) {
    return may.error();
  }
  return found;
}

Result<void> write_label(RbdConnection& connection, std::string_view address,
                         const std::optional<Label>& label) {
  const Result<ImageOwner> owner = read_owner(connection);
  if (!owner) {
    return owner.error();
  }
  if (address.empty() || owner.value().address != address) {
    return Error{ENOTCONN,
                 fmt::format("{}: this machine does not have the image's lock, so it does not "
                             "write the label of a write log",
                             connection.name())};
  }
  int result = 0;
  if (label.has_value()) {
    const Result<std::vector<std::byte>> bytes = encode_label(*label);
    if (!bytes) {
      return bytes.error();
    }
    result = set_metadata(connection, key, to_digits(bytes.value()));
  } else {
    result = remove_metadata(connection, key);
  }
  if (result < 0 && !(result == -ENOENT && !label.has_value())) {
    return Error{-result,
                 fmt::format("{}: the label of its write log cannot be written into its metadata: "
                             "{}",
                             connection.name(), std::strerror(-result))};
  }
  return {};
}

}  // namespace ballast::backend
