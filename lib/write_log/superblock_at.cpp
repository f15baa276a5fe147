// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/superblock_at.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/base/unique_fd.h"
#include "lib/io/page_memory.h"

namespace ballast::write_log {
namespace {

Error failed(const std::string& path, const char* what) {
  const int error = errno;
  return {error, fmt::format("the write log {}: {}: {}", path, what, std::strerror(error))};
}

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
    return failed(path, "it cannot be opened");
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
      return failed(path, "it cannot be read");
    }
    Result<Superblock> found = decode_superblock(bytes, path);
    if (!found.ok() && found.error().errno_value == EPROTONOSUPPORT) {
      return found.error();  // the other one may be older than it
    }
    if (found.ok() && (!newest || found.value().slot_sequence > newest->slot_sequence)) {
      newest = std::move(found).value();
    }
  }
  return newest;
}

}  // namespace ballast::write_log
