// SPDX-License-Identifier: Apache-2.0
// What the newest superblock of a log on a simulated disk says.
#pragma once

#include <array>
#include <optional>

#include "lib/write_log/format.h"
#include "tests/sim/sim_disk.h"

namespace ballast::test {

// The medium has sectors of a page.
inline write_log::Superblock newest_superblock(const Medium& log) {
  std::optional<write_log::Superblock> newest;
  for (const std::uint64_t offset : {std::uint64_t{0}, write_log::superblock_b}) {
    std::array<std::byte, write_log::page> bytes;
    log.read(offset / write_log::page, bytes);
    (void)write_log::take_newer(bytes, "here", &newest);
  }
  return newest.value_or(write_log::Superblock{});
}

}  // namespace ballast::test
