// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/label.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "lib/base/assert.h"
#include "lib/base/crc32c.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint64_t magic = 0x4c4542414c474c42;  // the bytes "BLGLABEL"
constexpr std::uint32_t this_version = 1;

struct Head {
  std::uint64_t magic;
  std::uint32_t crc;
  std::uint32_t version;
  std::uint32_t length;
  std::uint16_t host_length;
  std::uint16_t path_length;
  std::uint64_t offset;
  std::uint64_t owner;
  Label::Uuid store;
  Label::Uuid log;
};
static_assert(sizeof(Head) == 72 && offsetof(Head, length) == 16 && offsetof(Head, store) == 40);
static_assert(sizeof(Head) + 2 * Label::longest_name <= Label::most_bytes);

Head head_of(std::span<const std::byte> bytes) {
  Head head{};
  std::memcpy(&head, bytes.data(), std::min(bytes.size(), sizeof head));
  return head;
}

std::uint32_t checksum_of(std::span<const std::byte> label) {
  constexpr std::array<std::byte, sizeof(Head::crc)> nothing{};
  std::uint32_t crc = crc32c(label.first(offsetof(Head, crc)));
  crc = crc32c(nothing, crc);
  return crc32c(label.subspan(offsetof(Head, crc) + nothing.size()), crc);
}

bool is_text(std::string_view name) {
  return config::parse_text("", config::format_text(name)).ok();
}

Result<void> check_name(std::string_view what, std::string_view name) {
  if (name.size() > Label::longest_name) {
    return Error{EINVAL, fmt::format("{} has {} bytes, and the label of a write log has room for "
                                     "{}: use a shorter one",
                                     what, name.size(), Label::longest_name)};
  }
  if (!is_text(name)) {
    return Error{EINVAL, fmt::format("{} {} has a byte that is not printable UTF-8", what,
                                     config::quote(name))};
  }
  return {};
}

Error damaged(std::string_view where, std::string_view how) {
  return Error{EINVAL, fmt::format("{}: the label that says which write log this store needs is "
                                   "damaged ({}): find that log and run \"ballastctl log relabel\" "
                                   "with it, or, if there is none, \"ballastctl log abandon {}\"",
                                   where, how, where)};
}

bool is_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

Result<std::vector<std::byte>> encode_label(const Label& label, std::uint64_t offset) {
  if (const Result<void> host = check_name("the host's name", label.host); !host) {
    return host.error();
  }
  if (const Result<void> path = check_name("the path of the log", label.path); !path) {
    return path.error();
  }
  std::vector<std::byte> bytes(sizeof(Head) + label.host.size() + label.path.size());
  const Head head{.magic = magic,
                  .crc = 0,
                  .version = this_version,
                  .length = static_cast<std::uint32_t>(bytes.size()),
                  .host_length = static_cast<std::uint16_t>(label.host.size()),
                  .path_length = static_cast<std::uint16_t>(label.path.size()),
                  .offset = offset,
                  .owner = label.owner,
                  .store = label.store,
                  .log = label.log};
  std::memcpy(bytes.data(), &head, sizeof head);
  std::memcpy(bytes.data() + sizeof head, label.host.data(), label.host.size());
  std::memcpy(bytes.data() + sizeof head + label.host.size(), label.path.data(), label.path.size());
  const std::uint32_t crc = checksum_of(bytes);
  std::memcpy(bytes.data() + offsetof(Head, crc), &crc, sizeof crc);
  return bytes;
}

Result<Label> decode_label(std::span<const std::byte> bytes, std::string_view where) {
  if (!begins_label(bytes)) {
    return damaged(where, "it does not begin as one");
  }
  const Head head = head_of(bytes);
  if (head.length < sizeof head || head.length > bytes.size()) {
    return damaged(
        where, fmt::format("its length is {}, and {} bytes are there", head.length, bytes.size()));
  }
  const std::span<const std::byte> label = bytes.first(head.length);
  const std::uint32_t crc = checksum_of(label);
  if (crc != head.crc) {
    return damaged(where,
                   fmt::format("its checksum is {:08x}, and {:08x} is stored", crc, head.crc));
  }
  if (head.version != this_version) {
    return Error{EPROTONOSUPPORT,
                 fmt::format("{}: the label that says which write log this store needs has version "
                             "{}, and this Ballast knows version {}: use a newer Ballast",
                             where, head.version, this_version)};
  }
  if (sizeof head + head.host_length + head.path_length != label.size() ||
      head.host_length > Label::longest_name || head.path_length > Label::longest_name) {
    return damaged(where, "its names do not fit its length");
  }
  if (!is_zero(bytes.subspan(label.size()))) {
    return damaged(where, "it is followed by something");
  }
  const auto* const names = reinterpret_cast<const char*>(label.data() + sizeof head);
  Label decoded{.store = head.store,
                .log = head.log,
                .owner = head.owner,
                .host = std::string(names, head.host_length),
                .path = std::string(names + head.host_length, head.path_length)};
  if (!is_text(decoded.host) || !is_text(decoded.path)) {
    return damaged(where, "its names are not text");
  }
  return decoded;
}

bool begins_label(std::span<const std::byte> bytes) {
  return bytes.size() >= sizeof(Head) && head_of(bytes).magic == magic;
}

std::uint64_t offset_of_label(std::span<const std::byte> bytes) {
  BALLAST_ASSERT(begins_label(bytes));
  return head_of(bytes).offset;
}

Result<void> check_label(std::string_view store, const std::optional<Label>& label, bool has_log) {
  if (has_log || !label.has_value() || !label->names_log()) {
    return {};
  }
  return Error{
      EBUSY, fmt::format("{} is old without its write log, {} on {}: add ;log={} there, or, "
                         "if that log is lost, run \"ballastctl log abandon {}\"",
                         store, label->path, label->host, config::format_text(label->path), store)};
}

}  // namespace ballast::backend
