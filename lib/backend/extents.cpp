// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/extents.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <new>

#include "lib/base/round_up.h"

namespace ballast::backend {
namespace {

// Returns the offset of the next data (or hole) at or after `at`, but no more than `end`; or a
// negative errno.
std::int64_t seek(int fd, std::uint64_t at, std::uint64_t end, int whence) {
  const off_t found = ::lseek(fd, static_cast<off_t>(at), whence);
  if (found < 0) {
    // There is no data after `at`, or the file was cut short before it: the rest is a hole.
    return errno == ENXIO ? static_cast<std::int64_t>(end) : -errno;
  }
  return static_cast<std::int64_t>(std::min(static_cast<std::uint64_t>(found), end));
}

int find(int fd, Bytes offset, Bytes length, std::uint64_t block, std::size_t limit,
         std::vector<Extent>& found) {
  std::uint64_t at = offset.value();
  const std::uint64_t end = (offset + length).value();
  int looks_again = 16;
  while (at < end && found.size() < limit) {
    const std::int64_t data = seek(fd, at, end, SEEK_DATA);
    if (data < 0) {
      return static_cast<int>(data);
    }
    const std::uint64_t data_block = static_cast<std::uint64_t>(data) / block * block;
    std::uint64_t stop = data_block;
    if (data_block <= at) {
      const std::int64_t hole = seek(fd, static_cast<std::uint64_t>(data), end, SEEK_HOLE);
      if (hole < 0) {
        return static_cast<int>(hole);
      }
      stop = std::min(round_up(static_cast<std::uint64_t>(hole), block), end);
    }
    if (stop <= at) {  // what was data has become a hole meanwhile, by an UNMAP perhaps
      if (looks_again-- == 0) {
        return -EIO;
      }
      continue;
    }
    found.push_back(
        Extent{.offset = Bytes{at}, .length = Bytes{stop - at}, .allocated = data_block <= at});
    at = stop;
  }
  return 0;
}

}  // namespace

int find_extents(int fd, Bytes offset, Bytes length, Bytes block, std::size_t limit,
                 std::vector<Extent>* out) noexcept {
  try {
    std::vector<Extent> found;
    const int result = find(fd, offset, length, block.value(), limit, found);
    if (result == 0) {
      out->insert(out->end(), found.begin(), found.end());
    }
    return result;
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  }
}

}  // namespace ballast::backend
