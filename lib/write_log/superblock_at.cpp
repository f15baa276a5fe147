// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/superblock_at.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/base/unique_fd.h"
#include "lib/io/page_memory.h"

namespace ballast::write_log {

Error failed_at(const std::string& path, const char* what) {
  const int error = errno;
  return {error, fmt::format("the write log {}: {}: {}", path, what, std::strerror(error))};
}

Error another_log(const std::string& path, const Superblock& log) {
  return {EEXIST,
          fmt::format("{} has a write log already, of the store {} on {}, and the store of this "
                      "LUN does not name it; nothing was changed; give this LUN another log, or, "
                      "if its store has lost its label, run \"ballastctl log relabel\"",
                      path, log.store_name, log.host)};
}

namespace {

// The page cache may have what a device held before somebody wrote to it past the cache.
int flags_for(const std::string& path) {
  struct stat status {};
  const bool device = ::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode);
  return O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (device ? O_DIRECT : 0);
}

}  // namespace

Result<std::optional<Superblock>> superblock_at(const std::string& path) {
  const UniqueFd file{::open(path.c_str(), flags_for(path))};
  if (!file) {
    return failed_at(path, "it cannot be opened");
  }
  const io::PageMemory memory = io::make_page_memory(page);
  if (memory == nullptr) {
    return Error{ENOMEM, fmt::format("the write log {}: no memory to read its superblock", path)};
  }
  const Page bytes{memory.get(), page};
  std::optional<Superblock> newest;
  for (const std::uint64_t offset : {std::uint64_t{0}, superblock_b}) {
    std::ranges::fill(bytes, std::byte{});
    if (::pread(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) < 0) {
      return failed_at(path, "it cannot be read");
    }
    const Result<bool> newer = take_newer(bytes, path, &newest);
    if (!newer.ok() && newer.error().errno_value == EPROTONOSUPPORT) {
      return newer.error();
    }
  }
  return newest;
}

}  // namespace ballast::write_log
