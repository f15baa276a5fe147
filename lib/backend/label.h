// SPDX-License-Identifier: Apache-2.0
// Label: says on a store that it is old without its write log.
//
// A write log (lib/write_log) keeps acknowledged changes on a fast device until the store has them.
// So whoever opens the store alone would serve old data. The label on the store names the log, and
// a store with such a label is not opened without it. file_label.h and rbd_label.h say where a
// label is. It goes with the store's inode, device or image, so a copy of the data has none, unless
// it is a copy of the whole device.
//
// A label that names no log says only that logs of owners before `owner` are stale. It remains
// after a log was abandoned or retired, and stands in nobody's way.
//
// The encoding is little endian:
//   0   magic, 8 bytes      16  length of the whole label, 4     32  owner, 8
//   8   crc32c, 4           20  length of the host's name, 2     40  store, 16
//   12  version, 4          22  length of the path, 2            56  log, 16
//                           24  offset on a block device, or 0   72  host, path
// The checksum is that of the whole label with zeros in its own place. A page may hold a label and
// zeros behind it. Magic, checksum, version and length are in the same place in every version.
//
// Pure functions; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.h"

namespace ballast::backend {

struct Label {
  using Uuid = std::array<std::uint8_t, 16>;
  static constexpr std::size_t longest_name = 255;  // of `host` and `path`, in bytes
  static constexpr std::size_t most_bytes = 4096;   // of an encoded label

  Uuid store{};             // the store's identity for its log
  Uuid log{};               // zeros: no log is needed
  std::uint64_t owner = 0;  // a log of an earlier owner is stale
  std::string host;         // on which the log is, and its path there; for people
  std::string path;

  bool names_log() const { return log != Uuid{}; }
  friend bool operator==(const Label&, const Label&) = default;
};

// `offset`: where it will be on a block device. EINVAL: a name is too long, or no text (values.h).
Result<std::vector<std::byte>> encode_label(const Label& label, std::uint64_t offset = 0);

// Takes any bytes. EPROTONOSUPPORT: a label of a version that is not known here; EINVAL: damaged.
// The error's sentence begins with `where`.
Result<Label> decode_label(std::span<const std::byte> bytes, std::string_view where);
// Whether a label seems to begin here.
bool begins_label(std::span<const std::byte> bytes);
// The offset for which a label that can be decoded was made.
std::uint64_t offset_of_label(std::span<const std::byte> bytes);

// Whether a store with this label may be opened by somebody who has a log or not. EBUSY: it names a
// log, and `has_log` is false. `store` is its name for the sentence.
Result<void> check_label(std::string_view store, const std::optional<Label>& label, bool has_log);

}  // namespace ballast::backend
