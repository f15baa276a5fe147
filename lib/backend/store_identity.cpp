// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/store_identity.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

namespace ballast::backend {
namespace {

// Returns the first line of a file in sysfs, without blanks at its end; empty if there is none.
std::string line_of(const std::string& path) {
  std::ifstream file{path};
  std::string line;
  std::getline(file, line);
  while (!line.empty() && (line.back() == ' ' || line.back() == '\n' || line.back() == '\0')) {
    line.pop_back();
  }
  return line;
}

std::string name_of_device(dev_t device) {
  constexpr std::array<std::pair<const char*, const char*>, 6> names{{
      {"dm", "dm/uuid"},
      {"md", "md/uuid"},
      {"wwid", "wwid"},
      {"wwid", "device/wwid"},
      {"serial", "serial"},
      {"loop", "loop/backing_file"},
  }};
  std::string folder = fmt::format("/sys/dev/block/{}:{}/", major(device), minor(device));
  const std::string partition = line_of(folder + "partition");
  if (!partition.empty()) {
    folder += "../";  // to the folder of the partition's disk
  }
  for (const auto& [kind, file] : names) {
    const std::string name = line_of(folder + file);
    if (!name.empty()) {
      return fmt::format("{}:{}{}", kind, name, partition.empty() ? "" : ",partition" + partition);
    }
  }
  return {};
}

// mountinfo writes blanks, tabs, newlines and backslashes in octal, as \040.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain +=
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// proc(5): id parent major:minor root mount-point options [tags…] - type source options
void find_mount(std::uint64_t id, StoreIdentity& identity) {
  std::ifstream mounts{"/proc/self/mountinfo"};
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream words{line};
    std::uint64_t number = 0;
    std::string ignored;
    std::string point;
    words >> number;
    if (number != id) {
      continue;
    }
    words >> ignored >> ignored >> ignored >> point;
    while (words >> ignored && ignored != "-") {
    }
    std::string source;
    words >> identity.file_system >> source;
    identity.mount_point = unescape(point);
    identity.mounted = unescape(source);
    return;
  }
}

}  // namespace

StoreIdentity identify(int fd) {
  StoreIdentity identity;
  struct statx status {};
  constexpr unsigned wanted = STATX_TYPE | STATX_INO | STATX_BTIME | STATX_MNT_ID;
  if (::statx(fd, "", AT_EMPTY_PATH, wanted, &status) != 0) {
    return identity;
  }
  identity.block_device = S_ISBLK(status.stx_mode);
  if (identity.block_device) {
    identity.device = name_of_device(makedev(status.stx_rdev_major, status.stx_rdev_minor));
    return identity;
  }
  identity.inode = status.stx_ino;
  if ((status.stx_mask & STATX_BTIME) != 0) {
    identity.born = fmt::format("{}.{:09}", status.stx_btime.tv_sec, status.stx_btime.tv_nsec);
  }
  if ((status.stx_mask & STATX_MNT_ID) != 0) {
    find_mount(status.stx_mnt_id, identity);
  }
  return identity;
}

bool is_another(const StoreIdentity& then, const StoreIdentity& now) {
  if (then.block_device != now.block_device) {
    return true;
  }
  if (then.block_device) {
    const auto kind = [](const std::string& device) { return device.substr(0, device.find(':')); };
    // A disk may have several kinds of name, and the first one that sysfs has may be of another
    // kind after a reboot. Names of different kinds cannot be compared.
    return !then.device.empty() && kind(then.device) == kind(now.device) &&
           then.device != now.device;
  }
  if (then.inode == 0 || now.inode == 0) {
    return false;
  }
  if (!then.born.empty() && !now.born.empty()) {
    return then.inode != now.inode || then.born != now.born;
  }
  return then.inode != now.inode || then.file_system != now.file_system;
}

}  // namespace ballast::backend
