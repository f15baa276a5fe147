// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/log_check.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <cerrno>
#include <optional>

#include "lib/backend/file_label.h"
#include "lib/backend/label.h"
#include "lib/base/log.h"
#include "lib/base/values.h"
#include "lib/write_log/superblock_at.h"

namespace ballast::write_log {
namespace {

using backend::Label;

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// `there`: the file, or the folder in which it would be made.
Result<void> check_file_system(const std::string& path, const std::string& there) {
  struct statfs status {};
  if (::statfs(there.c_str(), &status) != 0) {
    return failed_at(path, "its file system cannot be asked");
  }
  if (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC) {
    return Error{EINVAL,
                 fmt::format("the write log {} would be in memory, and acknowledged data would be "
                             "lost with a reboot: give it a file on a disk",
                             path)};
  }
  return {};
}

Result<void> check_room(const std::string& path, const std::string& folder, Bytes size) {
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0) {
    return failed_at(path, "its file system cannot be asked");
  }
  const Bytes free{std::uint64_t{status.f_bavail} * status.f_frsize};
  if (free < size) {
    return Error{ENOSPC,
                 fmt::format("the write log {}: {} has {} free, and log_size is {}: make "
                             "room, or set a smaller log_size",
                             path, folder, config::format_bytes(free), config::format_bytes(size))};
  }
  return {};
}

Result<void> check_log_there(const LogConfig& log, const std::optional<Label>& label) {
  const Result<std::optional<Superblock>> found = superblock_at(log.path);
  if (!found.ok()) {
    return found.error();
  }
  const std::optional<Superblock>& superblock = found.value();
  const bool needs_log = label.has_value() && label->names_log();
  if (needs_log && (!superblock || superblock->log != label->log)) {
    return Error{EINVAL,
                 fmt::format("{} is not the write log that the store needs: that one was {} "
                             "on {}",
                             log.path, label->path, label->host)};
  }
  if (!needs_log && superblock && superblock->incarnation > 0) {
    return another_log(log.path, *superblock);
  }
  return {};
}

}  // namespace

Result<void> check_log(const backend::StoreOrder& order, const LogConfig& log) {
  std::optional<Label> label;
  struct stat store {};
  const bool is_file =
      order.config.kind->name == "file" && ::stat(order.config.file.path.c_str(), &store) == 0;
  if (is_file && S_ISREG(store.st_mode)) {
    Result<std::optional<Label>> read = backend::read_label(order.config.file.path, order.size);
    if (!read.ok()) {
      return read.error();
    }
    label = std::move(read).value();
  }
  struct stat status {};
  const bool exists = ::stat(log.path.c_str(), &status) == 0;
  const std::string folder = folder_of(log.path);
  const std::string& there = exists ? log.path : folder;
  if (!exists && label && label->names_log()) {
    return Error{ENOENT, fmt::format("the write log {} is not there, and without it the store is "
                                     "old: it was {} on {}",
                                     log.path, label->path, label->host)};
  }
  if (!exists && ::stat(folder.c_str(), &status) != 0) {
    return failed_at(log.path, "its folder is not there");
  }
  if (!S_ISBLK(status.st_mode)) {
    if (const Result<void> lasting = check_file_system(log.path, there); !lasting) {
      return lasting.error();
    }
  }
  if (is_file && store.st_dev == status.st_dev) {
    ballast::log(LogLevel::warning,
                 "the write log {} is on the file system of its store {}: it slows the store down, "
                 "and hangs when the store hangs; put it on another disk",
                 log.path, order.config.file.path);
  }
  return exists ? check_log_there(log, label) : check_room(log.path, folder, log.size);
}

}  // namespace ballast::write_log
