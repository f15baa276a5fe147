// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/file_missing.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/log.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

using config::format_bytes;

// "LUN vol0 (1GiB) has had a file here on ext4 of /dev/sdb1, mounted at /srv, since 2026-…"
std::string what_it_was(const StoreRecord& record) {
  const StoreIdentity& identity = record.identity;
  std::string where;
  if (!identity.mount_point.empty()) {
    where = fmt::format(" on {} of {}, mounted at {},", identity.file_system, identity.mounted,
                        identity.mount_point);
  }
  if (!identity.device.empty()) {
    where = fmt::format(" ({})", identity.device);
  }
  return fmt::format("LUN {} ({}) has had a {} here{} since {}", record.lun,
                     format_bytes(record.size), identity.block_device ? "device" : "file", where,
                     record.since);
}

std::string what_to_do(const StoreRecord& record) {
  return record.identity.block_device ? "attach it" : "mount its file system, or restore the file";
}

Error not_it(const std::string& path, const char* what, const Expected& expected) {
  return Error{ENOENT, fmt::format("{} {}, but {}: {}; or, to begin with what is here, rm {}", path,
                                   what, what_it_was(*expected.record),
                                   what_to_do(*expected.record), expected.record_file)};
}

// A file system that cannot tell reports the whole file as data.
bool holds_data(int fd) {
  return ::lseek(fd, 0, SEEK_DATA) >= 0 || errno != ENXIO;
}

}  // namespace

Result<void> check_missing(const std::string& path, Bytes size, const Expected& expected) {
  if (expected.record.has_value()) {
    return Error{ENOENT, fmt::format("{} is missing, but {}: {}; or, to begin with an empty disk, "
                                     "rm {}",
                                     path, what_it_was(*expected.record),
                                     what_to_do(*expected.record), expected.record_file)};
  }
  if (path.starts_with("/dev/") && !path.starts_with("/dev/shm/")) {
    return Error{ENOENT, fmt::format("there is no device {}: attach it", path)};
  }
  const char* why = nullptr;
  switch (expected.creation) {
    case Creation::allowed:
      return {};
    case Creation::at_start:
      why = "Ballast does not create it while the daemon starts, because its LUN may have had data";
      break;
    case Creation::saved:
      why = "Ballast does not create it, because the saved configuration has a LUN on it";
      break;
    case Creation::unreadable:
      why = "Ballast does not create it, because the records of what LUNs had cannot be read";
      break;
  }
  const std::string wanted = size == Bytes{} ? "SIZE" : std::to_string(size.value());
  return Error{ENOENT, fmt::format("{} is missing, and {}: mount its file system, or restore the "
                                   "file; or, to begin with an empty disk, truncate -s {} {}",
                                   path, why, wanted, path)};
}

Result<void> check_identity(const std::string& path, int fd, const StoreIdentity& now,
                            const Expected& expected) {
  if (!expected.record.has_value() || !is_another(expected.record->identity, now)) {
    return {};
  }
  const StoreIdentity& then = expected.record->identity;
  if (then.block_device != now.block_device) {
    return not_it(path, now.block_device ? "is a block device" : "is a file", expected);
  }
  if (now.block_device) {
    return not_it(path, fmt::format("is the device {}", now.device).c_str(), expected);
  }
  if (!holds_data(fd)) {
    return not_it(path, "is another file, which holds no data", expected);
  }
  log(LogLevel::warning,
      "{} is not the file that LUN {} has had since {}; it holds data, so Ballast takes it as a "
      "restored copy",
      path, expected.record->lun, expected.record->since);
  return {};
}

}  // namespace ballast::backend
