// SPDX-License-Identifier: Apache-2.0
// What an operator may know of the write log in front of a LUN's store. report.h explains it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/base/units.h"

namespace ballast::watch {

struct LogView {
  const char* state = "working";
  std::string device;  // "file=/fast/vol0.log"
  Bytes used{};        // of `size`
  Bytes size{};
  // Blocks of the log have numbers. The store has all before `first`; `last` is the newest that was
  // written.
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::optional<TimePoint> oldest;  // when the oldest that the store does not have was written
  std::optional<std::uint64_t> store_speed;  // bytes of the log a second, of the last batches
  std::uint64_t epoch = 0;

  std::uint32_t used_per_mille() const {
    return size == Bytes{} ? 0 : static_cast<std::uint32_t>(used.value() * 1000 / size.value());
  }
  std::uint64_t blocks() const { return last >= first ? last - first + 1 : 0; }
};

}  // namespace ballast::watch
