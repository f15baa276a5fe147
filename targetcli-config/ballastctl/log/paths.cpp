// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/log/paths.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "lib/backend/file_probe.h"
#include "lib/base/unique_fd.h"
#include "lib/write_log/superblock_at.h"
#include "targetcli-config/ballastctl/machine/patience.h"
#include "targetcli-config/ballastctl/machine/target.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

[[noreturn]] void fail_to_open(const std::string& path) {
  fail(fmt::format("{} cannot be opened: {}; check the path, and that its file system is mounted",
                   path, std::strerror(errno)));
}

}  // namespace

std::string path_of(const std::string& argument) {
  constexpr std::string_view file = "file=";
  if (argument.starts_with("rbd=")) {
    fail(
        fmt::format("{} is an image in Ceph, which only a LUN can open: open its LUN with its "
                    "log, and Ballast writes to the image what the log has",
                    argument));
  }
  std::string path = argument.starts_with(file) ? argument.substr(file.size()) : argument;
  return std::filesystem::absolute(std::move(path)).lexically_normal().string();
}

std::optional<std::string> configured_log(const std::string& lun) {
  constexpr std::string_view key = ";log=";
  if (std::filesystem::exists(lun)) {
    return path_of(lun);
  }
  const std::optional<std::vector<TargetLun>> luns =
      look_with_patience(Files::of_this_machine(), target_luns);
  if (!luns) {
    fail(fmt::format("which log LUN {} has is not known: {}; try again, or name the log's file",
                     printable(lun), files_hang));
  }
  for (const TargetLun& its : *luns) {
    const std::size_t at = its.configuration.find(key);
    if (its.name == lun && at != std::string::npos) {
      const std::string path = its.configuration.substr(at + key.size());
      return path_of(path.substr(0, path.find(';')));
    }
  }
  return std::nullopt;
}

bool is_block_device(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    fail_to_open(path);
  }
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    fail(fmt::format("{} is no regular file and no block device: check the path", path));
  }
  return S_ISBLK(status.st_mode);
}

Bytes size_at(const std::string& path) {
  const bool device = is_block_device(path);
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
  if (!file) {
    fail_to_open(path);
  }
  const Result<Bytes> size = backend::size_of(file.get(), device);
  if (!size.ok()) {
    fail(fmt::format("{}: {}", path, size.error().message));
  }
  return size.value();
}

// As a LUN takes it: lib/backend/file_take.h.
bool is_in_use(const std::string& path) {
  const bool device = is_block_device(path);
  const UniqueFd file{
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | (device ? O_EXCL : 0))};
  if (!file && errno != EBUSY) {
    fail_to_open(path);
  }
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return !file || (::fcntl(file.get(), F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK);
}

write_log::Superblock read_superblock(const std::string& path) {
  const Result<std::optional<write_log::Superblock>> found = write_log::superblock_at(path);
  if (!found.ok()) {
    fail(found.error().message);
  }
  if (!found.value().has_value()) {
    fail(fmt::format("{} is no write log, or its superblocks are damaged: check the path", path));
  }
  return *found.value();
}

Bytes log_bytes(const write_log::Superblock& superblock) {
  return Bytes{write_log::sizes_of(superblock).ring_end()};
}

}  // namespace ballast::ctl
