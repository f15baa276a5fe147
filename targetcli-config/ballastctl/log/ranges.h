// SPDX-License-Identifier: Apache-2.0
// Which bytes of its LUN a log has. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/units.h"
#include "lib/write_log/contents.h"

namespace ballast::ctl {

struct Range {
  Bytes offset;
  Bytes length;
  bool zeros = false;  // they read as zeros, and take no room in the log
};

// In the order of their offsets. Ranges of one kind that touch are one.
std::vector<Range> ranges_of(const write_log::Contents& contents);

struct Changed {
  Bytes data;
  Bytes zeros;
};
Changed sum_of(const std::vector<Range>& ranges);

// How many blocks of the log are needed.
std::uint64_t blocks_of(const write_log::Contents& contents);

}  // namespace ballast::ctl
