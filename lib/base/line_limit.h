// SPDX-License-Identifier: Apache-2.0
// LineLimit: how many log lines about one thing may be written in a time.
//
// An initiator, or a disk that fails, can cause some lines as often as it likes. They must not fill
// the disk with the log, so those that are too many are only counted, and the next line gives the
// count. One thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/units.h"

namespace ballast {

class LineLimit {
 public:
  // One line a second.
  LineLimit() = default;
  // `lines` in each `window`, which begins with a line.
  LineLimit(std::size_t lines, Nanoseconds window) : lines_{lines}, window_{window} {}

  // If a line may be written now, returns how many were left out since the last one. Otherwise
  // this one is left out.
  std::optional<std::uint64_t> next(TimePoint now);
  // The same in words, for the end of the line; "" if none was left out. They are valid until the
  // next call.
  std::optional<std::string_view> next_in_words(TimePoint now);

 private:
  std::size_t lines_ = 1;
  Nanoseconds window_ = std::chrono::seconds{1};
  TimePoint window_began_{};
  std::size_t in_window_ = 0;
  std::uint64_t left_out_ = 0;
  std::array<char, 64> words_{};
};

}  // namespace ballast
